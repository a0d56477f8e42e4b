-- SPDX-License-Identifier: ISC
-- SPDX-FileCopyrightText: The Fettle authors
--
-- images.db, version 1: the bytes of images and manifests, by digest. It is
-- committed before fettle.db refers to it; an object nothing refers to is swept.

CREATE TABLE objects (
	id INTEGER PRIMARY KEY AUTOINCREMENT,	-- left-over chunks must never join a later object
	state TEXT NOT NULL CHECK (state IN ('staged', 'sealed', 'dead')),
	digest BLOB UNIQUE CHECK (length(digest) = 32),
	size INTEGER NOT NULL CHECK (size >= 0),
	CHECK ((state = 'sealed') = (digest IS NOT NULL))
) STRICT;

CREATE INDEX objects_dead ON objects (id) WHERE state = 'dead';

-- Chunk n (64 KiB, the last may be shorter) of object o is row o * 16777216 + n.
CREATE TABLE chunks (
	id INTEGER PRIMARY KEY,
	bytes BLOB NOT NULL CHECK (length(bytes) BETWEEN 1 AND 65536)
) STRICT;

CREATE TABLE uploads (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	object INTEGER NOT NULL REFERENCES objects (id),
	kind TEXT NOT NULL CHECK (kind IN ('image')),
	name TEXT NOT NULL UNIQUE,
	size INTEGER CHECK (size >= 0),
	digest BLOB CHECK (length(digest) = 32),
	durable INTEGER NOT NULL CHECK (durable >= 0),
	-- its object is, whether or not fettle.db knows the image yet
	sealed INTEGER NOT NULL CHECK (sealed IN (0, 1)),
	made_by TEXT NOT NULL,
	created INTEGER NOT NULL,
	track_changed INTEGER NOT NULL		-- tracker time: a set clock drops no upload
) STRICT;

CREATE INDEX uploads_object ON uploads (object);
