-- SPDX-License-Identifier: ISC
-- SPDX-FileCopyrightText: The Fettle authors
--
-- fettle.db, version 1. Times are ms since the epoch, 0 "not set"; track_* are
-- tracker time. Sequence numbers and boot ids are unsigned 64-bit: 8 bytes
-- big-endian, so that blobs sort as numbers. Digests are whole SHA-256.
-- The collation "version" is registered by src/store/open.c.

CREATE TABLE meta (
	key TEXT PRIMARY KEY,
	number INTEGER,
	bytes BLOB
) STRICT, WITHOUT ROWID;

INSERT INTO meta (key, number) VALUES ('store.devices', 0), ('store.goods', 0);

-- Devices -------------------------------------------------------------------

CREATE TABLE devices (
	dev INTEGER PRIMARY KEY AUTOINCREMENT,	-- history outlives its device: never used again
	id TEXT NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 64),
	auth TEXT NOT NULL CHECK (auth IN ('credential', 'none')),
	mode TEXT NOT NULL CHECK (mode = 'unset' OR mode = 'client' OR mode = 'server' OR
		mode = 'negotiated'),
	registered INTEGER NOT NULL CHECK (registered IN (0, 1)),
	disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
	vendor_id BLOB CHECK (length(vendor_id) = 16),
	class_id BLOB CHECK (length(class_id) = 16),
	manufacturer TEXT NOT NULL,
	model TEXT NOT NULL,
	parent TEXT NOT NULL,
	contact_interval_s INTEGER NOT NULL CHECK (contact_interval_s >= 0),
	floor_sequence BLOB CHECK (length(floor_sequence) = 8),
	held TEXT NOT NULL,
	created INTEGER NOT NULL,
	changed INTEGER NOT NULL,
	etag INTEGER NOT NULL
) STRICT;

CREATE INDEX devices_parent ON devices (parent) WHERE parent <> '';

-- What moves with every contact. No index: one row, one page.
CREATE TABLE device_live (
	dev INTEGER PRIMARY KEY REFERENCES devices (dev) ON DELETE CASCADE,
	last_seen INTEGER NOT NULL,
	boot BLOB NOT NULL CHECK (length(boot) = 8),
	boots BLOB NOT NULL CHECK (length(boots) <= 96 AND length(boots) % 24 = 0),
	ip BLOB NOT NULL CHECK (length(ip) = 16),
	endpoint_port INTEGER NOT NULL CHECK (endpoint_port BETWEEN 0 AND 65535),
	service TEXT NOT NULL,
	service_until INTEGER NOT NULL,
	battery INTEGER NOT NULL,
	free_flash INTEGER NOT NULL,
	free_ram INTEGER NOT NULL,
	polls INTEGER NOT NULL DEFAULT 0	-- with last_seen: put here every few minutes
) STRICT;

CREATE TABLE device_components (
	dev INTEGER NOT NULL REFERENCES devices (dev) ON DELETE CASCADE,
	n INTEGER NOT NULL CHECK (n BETWEEN 0 AND 15),
	name TEXT NOT NULL,
	version TEXT NOT NULL COLLATE version,
	sequence BLOB CHECK (length(sequence) = 8),
	digest BLOB CHECK (length(digest) = 32),
	PRIMARY KEY (dev, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE device_attributes (
	dev INTEGER NOT NULL REFERENCES devices (dev) ON DELETE CASCADE,
	reported INTEGER NOT NULL CHECK (reported IN (0, 1)),
	name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
	number INTEGER,
	text TEXT,
	PRIMARY KEY (dev, reported, name),
	CHECK ((number IS NULL) <> (text IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE device_tags (
	dev INTEGER NOT NULL REFERENCES devices (dev) ON DELETE CASCADE,
	tag TEXT NOT NULL CHECK (length(tag) BETWEEN 1 AND 64),
	PRIMARY KEY (dev, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE device_groups (
	id INTEGER PRIMARY KEY AUTOINCREMENT,	-- left-over members must never join a later group
	name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64)
) STRICT;

-- No foreign key to the group: removing a group of a million must not take a
-- million deletes. Members of a group that is gone count for nothing and are swept.
CREATE TABLE group_members (
	dev INTEGER NOT NULL REFERENCES devices (dev) ON DELETE CASCADE,
	grp INTEGER NOT NULL,
	PRIMARY KEY (dev, grp)
) STRICT, WITHOUT ROWID;

CREATE INDEX group_members_grp ON group_members (grp, dev);

CREATE TABLE credentials (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	dev INTEGER NOT NULL REFERENCES devices (dev) ON DELETE CASCADE,
	kind TEXT NOT NULL CHECK (kind IN ('psk', 'token', 'x509')),
	identity TEXT NOT NULL CHECK (length(identity) <= 128),
	secret BLOB NOT NULL CHECK (length(secret) <= 64),
	created INTEGER NOT NULL,
	not_after INTEGER NOT NULL,
	revoked INTEGER NOT NULL
) STRICT;

CREATE INDEX credentials_dev ON credentials (dev, id);
CREATE INDEX credentials_identity ON credentials (kind, identity, id) WHERE identity <> '';
CREATE UNIQUE INDEX credentials_token ON credentials (secret) WHERE kind = 'token';

-- Private URLs: the SHA-256 of a capability that stands in a path.
CREATE TABLE capabilities (
	hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
	dev INTEGER NOT NULL REFERENCES devices (dev) ON DELETE CASCADE,
	created INTEGER NOT NULL,
	not_after INTEGER NOT NULL,
	revoked INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX capabilities_dev ON capabilities (dev);

-- What devices answered to ask: ["diag"]; the last few are kept.
CREATE TABLE diagnostics (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	dev INTEGER NOT NULL REFERENCES devices (dev) ON DELETE CASCADE,
	at INTEGER NOT NULL,
	content_format INTEGER NOT NULL,
	body BLOB NOT NULL CHECK (length(body) <= 16384)
) STRICT;

CREATE INDEX diagnostics_dev ON diagnostics (dev, id);

-- Maintenance windows and black-outs of a device, a group, a device class or a rollout.
CREATE TABLE windows (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	level TEXT NOT NULL CHECK (level IN ('device', 'group', 'class', 'rollout')),
	ref INTEGER NOT NULL,			-- row id of device, group or rollout; 0 for a class
	class_id BLOB CHECK (length(class_id) = 16),
	model TEXT NOT NULL,			-- a class named by its model
	reported INTEGER NOT NULL CHECK (reported IN (0, 1)),	-- the device's own: may only narrow
	blackout INTEGER NOT NULL CHECK (blackout IN (0, 1)),
	rrule TEXT NOT NULL,
	starts TEXT NOT NULL,			-- DTSTART, local time of the zone
	zone TEXT NOT NULL,
	duration_s INTEGER NOT NULL CHECK (duration_s > 0),
	created INTEGER NOT NULL,
	made_by TEXT NOT NULL
) STRICT;

CREATE INDEX windows_ref ON windows (level, ref);

-- Trust ---------------------------------------------------------------------

CREATE TABLE anchors (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	vendor TEXT NOT NULL,
	vendor_id BLOB NOT NULL CHECK (length(vendor_id) = 16),
	key_id BLOB NOT NULL CHECK (length(key_id) = 32),
	spki BLOB NOT NULL CHECK (length(spki) BETWEEN 1 AND 256),
	alg TEXT NOT NULL,
	not_before INTEGER NOT NULL,
	not_after INTEGER NOT NULL,
	revoked INTEGER NOT NULL,
	created INTEGER NOT NULL,
	made_by TEXT NOT NULL
) STRICT;

-- One key counts once per vendor (thresholds count distinct keys).
CREATE UNIQUE INDEX anchors_key ON anchors (vendor_id, key_id) WHERE revoked = 0;
CREATE INDEX anchors_vendor ON anchors (vendor_id, id);

CREATE TABLE operators (
	uid INTEGER PRIMARY KEY CHECK (uid BETWEEN 0 AND 4294967295),
	role TEXT NOT NULL CHECK (role IN
		('none', 'device', 'viewer', 'author', 'operator', 'approver', 'admin')),
	created INTEGER NOT NULL,
	made_by TEXT NOT NULL
) STRICT;

CREATE TABLE tokens (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	role TEXT NOT NULL CHECK (role IN ('viewer', 'author', 'operator', 'approver')),
	hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
	scope TEXT NOT NULL,
	created INTEGER NOT NULL,
	not_after INTEGER NOT NULL,
	revoked INTEGER NOT NULL,
	made_by TEXT NOT NULL
) STRICT;

-- The audit log names tokens, so a name means one living token.
CREATE UNIQUE INDEX tokens_name ON tokens (name) WHERE revoked = 0;

CREATE TABLE policies (
	name TEXT PRIMARY KEY,
	body BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
	id INTEGER PRIMARY KEY,
	at INTEGER NOT NULL,
	who TEXT NOT NULL,
	verb TEXT NOT NULL,
	object TEXT NOT NULL,
	detail TEXT NOT NULL,
	prev BLOB NOT NULL CHECK (length(prev) = 32),
	hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Goods ---------------------------------------------------------------------

CREATE TABLE images (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
	size INTEGER NOT NULL CHECK (size >= 0),
	created INTEGER NOT NULL,
	made_by TEXT NOT NULL
) STRICT;

CREATE TABLE manifests (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
	identity BLOB NOT NULL CHECK (length(identity) = 32),
	size INTEGER NOT NULL CHECK (size > 0),
	format TEXT NOT NULL,
	vendor_id BLOB CHECK (length(vendor_id) = 16),
	class_id BLOB CHECK (length(class_id) = 16),
	manufacturer TEXT NOT NULL,
	model TEXT NOT NULL,
	version TEXT NOT NULL COLLATE version,
	sequence BLOB NOT NULL CHECK (length(sequence) = 8),
	uri TEXT NOT NULL,
	text TEXT NOT NULL,
	priority INTEGER,
	use_before INTEGER NOT NULL,
	not_before INTEGER NOT NULL,
	anchor INTEGER REFERENCES anchors (id),
	alg TEXT NOT NULL,
	verified INTEGER NOT NULL,
	created INTEGER NOT NULL,
	made_by TEXT NOT NULL
) STRICT;

CREATE INDEX manifests_identity ON manifests (identity);
CREATE INDEX manifests_anchor ON manifests (anchor, id);
-- The newest of a device class: its SUIT class id, else vendor and model.
CREATE INDEX manifests_class ON manifests (vendor_id, class_id, sequence)
	WHERE class_id IS NOT NULL;
CREATE INDEX manifests_model ON manifests (vendor_id, model, sequence) WHERE class_id IS NULL;

CREATE TABLE manifest_images (
	manifest INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
	n INTEGER NOT NULL,
	component INTEGER NOT NULL,
	name TEXT NOT NULL,
	digest BLOB NOT NULL CHECK (length(digest) = 32),
	size INTEGER CHECK (size >= 0),
	uri TEXT NOT NULL,
	integrated INTEGER NOT NULL CHECK (integrated IN (0, 1)),
	external INTEGER NOT NULL CHECK (external IN (0, 1)),
	PRIMARY KEY (manifest, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX manifest_images_digest ON manifest_images (digest, manifest);

-- Manifests a manifest needs, by the digest of their own structure.
CREATE TABLE manifest_dependencies (
	manifest INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
	n INTEGER NOT NULL,
	identity BLOB NOT NULL CHECK (length(identity) = 32),
	uri TEXT NOT NULL,
	PRIMARY KEY (manifest, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX manifest_dependencies_identity ON manifest_dependencies (identity, manifest);

CREATE TABLE releases (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL UNIQUE,
	manifest BLOB NOT NULL REFERENCES manifests (digest),
	state TEXT NOT NULL CHECK (state IN
		('submitted', 'approved', 'withdrawn', 'superseded')),
	complete INTEGER NOT NULL CHECK (complete IN (0, 1)),
	published INTEGER NOT NULL CHECK (published IN (0, 1)),
	vendor_id BLOB CHECK (length(vendor_id) = 16),
	class_id BLOB CHECK (length(class_id) = 16),
	manufacturer TEXT NOT NULL,
	model TEXT NOT NULL,
	version TEXT NOT NULL COLLATE version,
	sequence BLOB NOT NULL CHECK (length(sequence) = 8),
	urgency INTEGER NOT NULL CHECK (urgency BETWEEN 0 AND 3),
	urgency_by TEXT NOT NULL,
	outage_s INTEGER NOT NULL,
	made_by TEXT NOT NULL,
	approved_by TEXT NOT NULL,
	created INTEGER NOT NULL,
	approved INTEGER NOT NULL,
	etag INTEGER NOT NULL
) STRICT;

CREATE INDEX releases_manifest ON releases (manifest, id);
CREATE INDEX releases_published ON releases (manufacturer, model, sequence, id)
	WHERE published = 1;

-- The path of every URI in an offerable release is a route to that image.
CREATE TABLE routes (
	path TEXT NOT NULL,
	release INTEGER NOT NULL REFERENCES releases (id) ON DELETE CASCADE,
	digest BLOB NOT NULL CHECK (length(digest) = 32),
	PRIMARY KEY (path, release)
) STRICT, WITHOUT ROWID;

CREATE INDEX routes_release ON routes (release);

-- Anti-rollback floor of a device class; an id that is not set is the empty blob.
CREATE TABLE class_floors (
	vendor_id BLOB NOT NULL CHECK (length(vendor_id) IN (0, 16)),
	class_id BLOB NOT NULL CHECK (length(class_id) IN (0, 16)),
	sequence BLOB NOT NULL CHECK (length(sequence) = 8),
	PRIMARY KEY (vendor_id, class_id)
) STRICT, WITHOUT ROWID;

-- Work ----------------------------------------------------------------------

CREATE TABLE rollouts (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL UNIQUE,
	release INTEGER NOT NULL REFERENCES releases (id),
	target TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('draft', 'creating', 'awaiting-approval', 'ready',
		'running', 'paused', 'finished', 'aborted')),
	reason TEXT NOT NULL,
	urgency INTEGER NOT NULL CHECK (urgency BETWEEN 0 AND 3),
	budget INTEGER NOT NULL CHECK (budget >= 0),
	in_flight_window INTEGER NOT NULL CHECK (in_flight_window >= 0),
	total INTEGER NOT NULL CHECK (total >= 0),
	planned INTEGER NOT NULL CHECK (planned >= 0),
	in_flight INTEGER NOT NULL CHECK (in_flight >= 0),
	deferred INTEGER NOT NULL CHECK (deferred >= 0),
	failed INTEGER NOT NULL CHECK (failed >= 0),
	succeeded INTEGER NOT NULL CHECK (succeeded >= 0),
	timed_out INTEGER NOT NULL CHECK (timed_out >= 0),
	ended INTEGER NOT NULL CHECK (ended >= 0),
	made_by TEXT NOT NULL,
	created INTEGER NOT NULL,
	started INTEGER NOT NULL,
	finished INTEGER NOT NULL,
	phase INTEGER NOT NULL,
	track_due INTEGER NOT NULL,		-- of the open phase: its timeout, or its soak's end
	etag INTEGER NOT NULL
) STRICT;

CREATE INDEX rollouts_release ON rollouts (release, id);
CREATE INDEX rollouts_due ON rollouts (track_due, id) WHERE track_due > 0 AND state = 'running';

CREATE TABLE phases (
	rollout INTEGER NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,
	number INTEGER NOT NULL CHECK (number >= 1),
	percent INTEGER NOT NULL CHECK (percent BETWEEN 0 AND 100),
	count INTEGER NOT NULL CHECK (count >= 0),
	filter TEXT NOT NULL,
	success_percent INTEGER NOT NULL CHECK (success_percent BETWEEN 0 AND 100),
	soak_s INTEGER NOT NULL CHECK (soak_s >= 0),
	timeout_s INTEGER NOT NULL CHECK (timeout_s >= 0),
	total INTEGER NOT NULL,
	done INTEGER NOT NULL,
	failed INTEGER NOT NULL,
	succeeded INTEGER NOT NULL,
	opened INTEGER NOT NULL,
	closed INTEGER NOT NULL,
	PRIMARY KEY (rollout, number)
) STRICT, WITHOUT ROWID;

-- Templates that start a rollout by themselves when a matching release is approved.
CREATE TABLE standing_rollouts (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL UNIQUE,
	enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
	target TEXT NOT NULL,
	urgency INTEGER CHECK (urgency BETWEEN 0 AND 3),	-- NULL: of any class
	budget INTEGER NOT NULL CHECK (budget >= 0),
	in_flight_window INTEGER NOT NULL CHECK (in_flight_window >= 0),
	made_by TEXT NOT NULL,
	created INTEGER NOT NULL,
	etag INTEGER NOT NULL
) STRICT;

CREATE TABLE standing_phases (
	standing INTEGER NOT NULL REFERENCES standing_rollouts (id) ON DELETE CASCADE,
	number INTEGER NOT NULL CHECK (number >= 1),
	percent INTEGER NOT NULL CHECK (percent BETWEEN 0 AND 100),
	count INTEGER NOT NULL CHECK (count >= 0),
	filter TEXT NOT NULL,
	success_percent INTEGER NOT NULL CHECK (success_percent BETWEEN 0 AND 100),
	soak_s INTEGER NOT NULL CHECK (soak_s >= 0),
	timeout_s INTEGER NOT NULL CHECK (timeout_s >= 0),
	PRIMARY KEY (standing, number)
) STRICT, WITHOUT ROWID;

-- One release for one device. open is "not terminal"; last_history heads the
-- chain of the update's history, so that a report needs no index on history.
-- (A long IN builds a table each time it is checked, which reports would feel.)
CREATE TABLE updates (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	dev INTEGER NOT NULL REFERENCES devices (dev) ON DELETE CASCADE,
	rollout INTEGER REFERENCES rollouts (id),
	release INTEGER NOT NULL REFERENCES releases (id),
	phase INTEGER NOT NULL CHECK (phase >= 0),	-- that it joined; 0: none yet
	state TEXT NOT NULL CHECK (open = 1 OR state = 'succeeded' OR state = 'failed' OR
		state = 'rejected' OR state = 'timed-out' OR state = 'rolled-back' OR
		state = 'cancelled' OR state = 'superseded' OR state = 'expired'),
	open INTEGER NOT NULL CHECK (open = (state = 'planned' OR state = 'offered' OR
		state = 'deferred' OR state = 'accepted' OR state = 'downloading' OR
		state = 'downloaded' OR state = 'installing' OR state = 'rebooting' OR
		state = 'confirming')),
	urgency INTEGER NOT NULL CHECK (urgency BETWEEN 0 AND 3),
	failure TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	deferrals INTEGER NOT NULL,
	charged INTEGER NOT NULL CHECK (charged IN (0, 1)),
	reserved INTEGER NOT NULL CHECK (reserved IN (0, 1)),
	manifest_fetched INTEGER NOT NULL CHECK (manifest_fetched IN (0, 1)),
	late INTEGER NOT NULL CHECK (late IN (0, 1)),
	progress INTEGER NOT NULL CHECK (progress BETWEEN 0 AND 100),
	offer_boot BLOB NOT NULL CHECK (length(offer_boot) = 8),
	track_due INTEGER NOT NULL,
	track_deadline INTEGER NOT NULL,
	not_before INTEGER NOT NULL,
	not_after INTEGER NOT NULL,
	reason TEXT NOT NULL,
	created INTEGER NOT NULL,
	changed INTEGER NOT NULL,
	last_history INTEGER NOT NULL
) STRICT;

CREATE INDEX updates_open ON updates (dev, urgency, id) WHERE open = 1;
CREATE INDEX updates_due ON updates (track_due, id) WHERE track_due > 0;
CREATE INDEX updates_dev ON updates (dev, id);
CREATE INDEX updates_rollout ON updates (rollout, id);
CREATE INDEX updates_rollout_state ON updates (rollout, state, id);

-- Appended to, and pruned from the low end only: the highest id stays, so none comes twice.
CREATE TABLE history (
	id INTEGER PRIMARY KEY,
	prev INTEGER NOT NULL,			-- of the same update, 0: the first
	dev INTEGER NOT NULL,
	upd INTEGER NOT NULL,
	from_state TEXT NOT NULL,
	to_state TEXT NOT NULL,
	inferred INTEGER NOT NULL CHECK (inferred IN (0, 1)),
	late INTEGER NOT NULL CHECK (late IN (0, 1)),
	cause TEXT NOT NULL,
	at INTEGER NOT NULL
) STRICT;

CREATE TABLE jobs (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	kind TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 31),
	ref INTEGER NOT NULL,
	cursor INTEGER NOT NULL,
	done INTEGER NOT NULL,
	total INTEGER NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
	made_by TEXT NOT NULL,
	result TEXT NOT NULL,
	created INTEGER NOT NULL,
	finished INTEGER NOT NULL,
	tries INTEGER NOT NULL CHECK (tries >= 0),	-- that failed in a row
	due INTEGER NOT NULL				-- tracker time of the next one
) STRICT;

CREATE INDEX jobs_running ON jobs (id) WHERE state = 'running';

-- What a job works through, kept until it ends, and what it found wrong with it.
CREATE TABLE job_inputs (
	job INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
	media INTEGER NOT NULL,
	scope TEXT NOT NULL,			-- of who asked: a filter, or empty
	body BLOB NOT NULL CHECK (length(body) <= 65536),
	errors BLOB NOT NULL CHECK (length(errors) <= 65536)
) STRICT;

-- Answers to operators' POSTs, by Idempotency-Key.
CREATE TABLE idempotency (
	id INTEGER PRIMARY KEY AUTOINCREMENT,	-- in order of age: pruned from the low end
	who TEXT NOT NULL,
	key BLOB NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
	request BLOB NOT NULL CHECK (length(request) = 32),
	status INTEGER NOT NULL,
	body BLOB NOT NULL,
	at INTEGER NOT NULL,
	UNIQUE (who, key)
) STRICT;

-- One commit-ordered sequence for GET /api/v1/events; pruned from the low end.
CREATE TABLE events (
	seq INTEGER PRIMARY KEY AUTOINCREMENT,
	at INTEGER NOT NULL,
	kind TEXT NOT NULL,
	dev INTEGER NOT NULL,			-- 0: of no device
	ref INTEGER NOT NULL,
	body TEXT NOT NULL
) STRICT;
