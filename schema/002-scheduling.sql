-- SPDX-License-Identifier: ISC
-- SPDX-FileCopyrightText: The Fettle authors
--
-- fettle.db, version 2: modes, pace and order, outages, standing rollouts.

-- Devices -------------------------------------------------------------------

-- Where it is called: the host an operator set, else its proven address.
ALTER TABLE devices ADD COLUMN endpoint_host TEXT NOT NULL DEFAULT ''
	CHECK (length(endpoint_host) <= 64);
-- What it says it can do, in words separated by blanks: "push", "pull", ...
ALTER TABLE devices ADD COLUMN capabilities TEXT NOT NULL DEFAULT '';
-- It came by itself and an operator has not let it in yet.
ALTER TABLE devices ADD COLUMN held_back INTEGER NOT NULL DEFAULT 0 CHECK (held_back IN (0, 1));
-- Its next answer asks for diagnostics.
ALTER TABLE devices ADD COLUMN ask_diag INTEGER NOT NULL DEFAULT 0 CHECK (ask_diag IN (0, 1));

-- PSK identities of devices that were removed, while tickets of theirs may be shown.
CREATE TABLE ended_identities (
	identity TEXT PRIMARY KEY,
	at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX ended_identities_at ON ended_identities (at);

-- When what it says of its service was said, in tracker time.
ALTER TABLE device_live ADD COLUMN status_at INTEGER NOT NULL DEFAULT 0;
-- last_seen in tracker time: it is for people, what is judged is judged by this one.
ALTER TABLE device_live ADD COLUMN track_seen INTEGER NOT NULL DEFAULT 0;

-- What the server calls a device for, in server and negotiated mode: one row a device, while
-- there is something. An answer is believed only while its call stands here as sent.
CREATE TABLE calls (
	dev INTEGER PRIMARY KEY REFERENCES devices (dev) ON DELETE CASCADE,
	sent INTEGER NOT NULL CHECK (sent IN (0, 1)),	-- its answer is awaited
	due INTEGER NOT NULL CHECK (due >= 0),	-- tracker time of the next one; sent: it is lost
	serial INTEGER NOT NULL,		-- of the last call: it never comes back
	kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 15),	-- of the last call
	want INTEGER NOT NULL,			-- a bit for each thing it is called for
	upd INTEGER NOT NULL,			-- pushed: this attempt of this update, 0 none,
	attempt INTEGER NOT NULL,
	manifest INTEGER NOT NULL CHECK (manifest IN (0, 1)),	-- it has the manifest,
	image INTEGER NOT NULL,			-- and the images before this one,
	held INTEGER NOT NULL,			-- and so many bytes of it, -1: not known
	applied INTEGER NOT NULL CHECK (applied IN (0, 1)),	-- told to begin, and silent since
	tries INTEGER NOT NULL,			-- of this call without success
	runs INTEGER NOT NULL CHECK (runs IN (0, 1)),	-- pushed, and a timeout runs
	reason TEXT NOT NULL			-- what became of the last one
) STRICT;

CREATE INDEX calls_due ON calls (sent, due, dev) WHERE due > 0;
CREATE INDEX calls_running ON calls (due, dev) WHERE sent = 0 AND runs = 1 AND due > 0;

-- What an update of a device above it will cost a device: told before, seen or not. The
-- device itself is in it as the first that is looked below.
CREATE TABLE outages (
	dev INTEGER NOT NULL REFERENCES devices (dev) ON DELETE CASCADE,
	upd INTEGER NOT NULL REFERENCES updates (id) ON DELETE CASCADE,
	seconds INTEGER NOT NULL CHECK (seconds >= 0),
	walked INTEGER NOT NULL,		-- the last one below it that is in here; -1: all are
	until INTEGER NOT NULL,			-- tracker time: no longer it is waited for
	told INTEGER NOT NULL,			-- wall time, 0: not yet
	acknowledged INTEGER NOT NULL,		-- wall time, 0: not yet
	PRIMARY KEY (dev, upd)
) STRICT, WITHOUT ROWID;

CREATE INDEX outages_upd ON outages (upd, dev);
CREATE INDEX outages_walk ON outages (upd, dev) WHERE walked >= 0;
CREATE INDEX outages_untold ON outages (upd, until) WHERE told = 0;

-- Goods ---------------------------------------------------------------------

-- The urgency class a manifest names itself; SUIT says it by update-priority.
ALTER TABLE manifests ADD COLUMN urgency TEXT NOT NULL DEFAULT '';
-- What a device class had before: its SUIT class id, else vendor and model.
CREATE INDEX releases_class ON releases (vendor_id, class_id, sequence)
	WHERE class_id IS NOT NULL;
CREATE INDEX releases_model ON releases (vendor_id, model, sequence) WHERE class_id IS NULL;

-- Rollouts ------------------------------------------------------------------

ALTER TABLE rollouts ADD COLUMN per_minute INTEGER NOT NULL DEFAULT 0 CHECK (per_minute >= 0);
ALTER TABLE rollouts ADD COLUMN max_in_flight INTEGER NOT NULL DEFAULT 0
	CHECK (max_in_flight >= 0);
ALTER TABLE rollouts ADD COLUMN link_in_flight INTEGER NOT NULL DEFAULT 0
	CHECK (link_in_flight >= 0);
ALTER TABLE rollouts ADD COLUMN bytes_per_s INTEGER NOT NULL DEFAULT 0 CHECK (bytes_per_s >= 0);
ALTER TABLE rollouts ADD COLUMN link_bytes_per_s INTEGER NOT NULL DEFAULT 0
	CHECK (link_bytes_per_s >= 0);
ALTER TABLE rollouts ADD COLUMN update_order TEXT NOT NULL DEFAULT 'any'
	CHECK (update_order IN ('any', 'leaf-first', 'core-first'));
-- Virtual times of the pace (a generic cell rate), in microseconds of tracker time.
ALTER TABLE rollouts ADD COLUMN pace_tat INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollouts ADD COLUMN bytes_tat INTEGER NOT NULL DEFAULT 0;
-- Starts by itself once its updates are planned; of which standing rollout, 0 none.
ALTER TABLE rollouts ADD COLUMN auto_start INTEGER NOT NULL DEFAULT 0
	CHECK (auto_start IN (0, 1));
ALTER TABLE rollouts ADD COLUMN standing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollouts ADD COLUMN approved_by TEXT NOT NULL DEFAULT '';
-- "digest=3 boot=1": how many failures of a class pause it.
ALTER TABLE rollouts ADD COLUMN pause_at TEXT NOT NULL DEFAULT '';
-- One device at a time below each parent; black-outs do not hold.
ALTER TABLE rollouts ADD COLUMN focus INTEGER NOT NULL DEFAULT 0 CHECK (focus IN (0, 1));
ALTER TABLE rollouts ADD COLUMN force INTEGER NOT NULL DEFAULT 0 CHECK (force IN (0, 1));

-- Is there any? They come first where nothing else is said.
CREATE INDEX device_tags_canary ON device_tags (tag) WHERE tag = 'canary';
-- Those that a device may still join.
CREATE INDEX rollouts_active ON rollouts (id)
	WHERE state IN ('creating', 'awaiting-approval', 'ready', 'running', 'paused');

-- The last change of its state in tracker time, before it ever changed 0.
ALTER TABLE updates ADD COLUMN track_changed INTEGER NOT NULL DEFAULT 0;
-- The first phase whose filter takes this device, 0: none of those that have one.
ALTER TABLE updates ADD COLUMN planned_phase INTEGER NOT NULL DEFAULT 0;
-- How many of a phase's filter have not joined yet.
ALTER TABLE phases ADD COLUMN expected INTEGER NOT NULL DEFAULT 0;
-- Wall time before which it does not open, 0: at once.
ALTER TABLE phases ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;
-- Tracker time it was opened at: its timeout and its updates' deadlines run from there.
ALTER TABLE phases ADD COLUMN track_opened INTEGER NOT NULL DEFAULT 0;

CREATE TABLE rollout_failures (
	rollout INTEGER NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,
	failure TEXT NOT NULL,
	n INTEGER NOT NULL CHECK (n >= 0),
	PRIMARY KEY (rollout, failure)
) STRICT, WITHOUT ROWID;

-- A link is what hangs below one parent: all rollouts share it.
CREATE TABLE links (
	parent TEXT PRIMARY KEY,
	in_flight INTEGER NOT NULL CHECK (in_flight >= 0),
	bytes_tat INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Open updates of a rollout below one parent: leaf-first waits until there is none.
CREATE TABLE rollout_links (
	rollout INTEGER NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,
	parent TEXT NOT NULL,
	open INTEGER NOT NULL CHECK (open >= 0),
	PRIMARY KEY (rollout, parent)
) STRICT, WITHOUT ROWID;

-- Standing rollouts: the members of POST /rollouts as JSON, tried on each approved release.
DROP TABLE standing_phases;
DROP TABLE standing_rollouts;
CREATE TABLE standing_rollouts (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL UNIQUE,
	enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
	urgency INTEGER CHECK (urgency BETWEEN 0 AND 3),	-- NULL: of any class
	spec TEXT NOT NULL CHECK (length(spec) <= 8192),
	made_by TEXT NOT NULL,
	created INTEGER NOT NULL,
	etag INTEGER NOT NULL
) STRICT;

-- Windows -------------------------------------------------------------------

-- How many rows windows has: without any, no device is asked about.
INSERT INTO meta (key, number) VALUES ('store.windows', 0);

CREATE INDEX windows_class ON windows (class_id, id) WHERE class_id IS NOT NULL;
CREATE INDEX windows_model ON windows (model, id) WHERE model <> '';
