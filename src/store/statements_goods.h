/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
/* See statements_fleet.h. */

/* Images */
X(IMAGE_ADD, MAIN,
  "INSERT INTO images (digest, size, created, made_by) VALUES ($1, $2, $3, $4) "
  "ON CONFLICT (digest) DO NOTHING")
X(IMAGE_GET, MAIN, "SELECT " IMAGE_COLUMNS " FROM images WHERE digest = $1")
X(IMAGE_LIST, MAIN, "SELECT " IMAGE_COLUMNS " FROM images WHERE id > $1 ORDER BY id LIMIT $2")
X(IMAGE_REFERENCED, MAIN, "SELECT 1 FROM manifest_images WHERE digest = $1 LIMIT 1")
X(IMAGE_REMOVE, MAIN, "DELETE FROM images WHERE digest = $1")
X(OBJECT_KNOWN, MAIN,
  "SELECT i.size FROM images i WHERE i.digest = $1 "
  "UNION ALL SELECT m.size FROM manifests m WHERE m.digest = $2 LIMIT 1")

/* Objects: bytes by digest */
X(OBJECT_FIND, IMAGES, "SELECT id, size FROM objects WHERE digest = $1")
X(OBJECT_STAGE, IMAGES, "INSERT INTO objects (state, digest, size) VALUES ('staged', NULL, 0)")
X(OBJECT_SEAL, IMAGES,
  "UPDATE objects SET state = 'sealed', digest = $1, size = $2 WHERE id = $3 AND state = 'staged'")
X(OBJECT_KILL, IMAGES, "UPDATE objects SET state = 'dead', digest = NULL WHERE id = $1")
X(OBJECT_KILL_STAGED, IMAGES,
  "UPDATE objects SET state = 'dead' WHERE id = $1 AND state = 'staged'")
X(OBJECT_SEALED, IMAGES, "SELECT digest, size FROM objects WHERE id = $1 AND state = 'sealed'")
X(OBJECT_DEAD, IMAGES, "SELECT id FROM objects WHERE state = 'dead' ORDER BY id LIMIT 1")
X(OBJECT_DELETE, IMAGES, "DELETE FROM objects WHERE id = $1")
X(OBJECT_SCAN, IMAGES,
  "SELECT id, digest FROM objects WHERE id > $1 AND state = 'sealed' AND NOT EXISTS "
  "(SELECT 1 FROM uploads WHERE object = objects.id) ORDER BY id LIMIT $2")
X(CHUNK_PUT, IMAGES,
  "INSERT INTO chunks (id, bytes) VALUES ($1, $2) "
  "ON CONFLICT (id) DO UPDATE SET bytes = excluded.bytes")
X(CHUNK_GET, IMAGES, "SELECT bytes FROM chunks WHERE id = $1")
X(CHUNK_DELETE, IMAGES,
  "DELETE FROM chunks WHERE id IN "
  "(SELECT id FROM chunks WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3)")

/* Uploads */
X(UPLOAD_ADD, IMAGES,
  "INSERT INTO uploads (object, kind, name, size, digest, durable, sealed, made_by, created, "
  "track_changed) VALUES ($1, 'image', $2, $3, $4, 0, 0, $5, $6, $7)")
X(UPLOAD_BY_NAME, IMAGES, "SELECT " UPLOAD_COLUMNS " FROM uploads WHERE name = $1")
X(UPLOAD_STATE, IMAGES, "SELECT object, durable, size, sealed FROM uploads WHERE id = $1")
X(UPLOAD_SYNC, IMAGES,
  "UPDATE uploads SET size = $1, digest = $2, durable = $3, track_changed = $4 WHERE id = $5")
X(UPLOAD_DURABLE, IMAGES, "UPDATE uploads SET durable = $1 WHERE id = $2")
X(UPLOAD_SEAL, IMAGES,
  "UPDATE uploads SET object = $1, size = $2, durable = $3, sealed = 1 WHERE id = $4")
X(UPLOAD_REMOVE, IMAGES, "DELETE FROM uploads WHERE id = $1")
X(UPLOAD_DONE, IMAGES, "DELETE FROM uploads WHERE id = $1 AND sealed = 1")
X(UPLOAD_OLD, IMAGES, "SELECT id FROM uploads WHERE track_changed < $1 ORDER BY id LIMIT $2")
X(UPLOAD_TOTAL, IMAGES,
  "SELECT count(*), coalesce(sum(CASE WHEN sealed = 1 THEN 0 WHEN size > durable THEN size "
  "ELSE durable END), 0) FROM uploads")

/* Manifests */
X(MANIFEST_ADD, MAIN,
  "INSERT INTO manifests (digest, identity, size, format, vendor_id, class_id, manufacturer, "
  "model, version, sequence, uri, text, priority, use_before, not_before, anchor, alg, verified, "
  "created, made_by, urgency) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, "
  "$14, $15, $16, $17, $18, $19, $20, $21)")
X(MANIFEST_GET, MAIN, "SELECT " MANIFEST_COLUMNS " FROM manifests WHERE digest = $1")
X(MANIFEST_BY_IDENTITY, MAIN,
  "SELECT " MANIFEST_COLUMNS " FROM manifests WHERE identity = $1 ORDER BY id DESC LIMIT 1")
X(MANIFEST_LIST, MAIN,
  "SELECT " MANIFEST_COLUMNS " FROM manifests WHERE id > $1 ORDER BY id LIMIT $2")
X(MANIFEST_NEWEST_OF_CLASS, MAIN,
  "SELECT sequence FROM manifests WHERE vendor_id = $1 AND class_id = $2 "
  "ORDER BY sequence DESC LIMIT 1")
X(MANIFEST_NEWEST_OF_MODEL, MAIN,
  "SELECT sequence FROM manifests WHERE vendor_id = $1 AND class_id IS NULL AND model = $2 "
  "ORDER BY sequence DESC LIMIT 1")
X(MANIFEST_REMOVE, MAIN, "DELETE FROM manifests WHERE digest = $1")
X(MANIFEST_VERDICT, MAIN, "UPDATE manifests SET anchor = $1, verified = $2 WHERE digest = $3")
X(MANIFEST_BY_ANCHOR, MAIN,
  "SELECT id, digest FROM manifests WHERE anchor = $1 AND id > $2 ORDER BY id LIMIT $3")
X(MANIFEST_IMAGE_ADD, MAIN,
  "INSERT INTO manifest_images (manifest, n, component, name, digest, size, uri, integrated, "
  "external) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
X(MANIFEST_IMAGE_LIST, MAIN,
  "SELECT i.component, i.name, i.digest, i.size, i.uri, i.integrated, i.external "
  "FROM manifests m JOIN manifest_images i ON i.manifest = m.id WHERE m.digest = $1 "
  "ORDER BY i.n LIMIT $2")

/* Releases */
X(RELEASE_ADD, MAIN,
  "INSERT INTO releases (name, manifest, state, complete, published, vendor_id, class_id, "
  "manufacturer, model, version, sequence, urgency, urgency_by, outage_s, made_by, approved_by, "
  "created, approved, etag) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, "
  "$15, $16, $17, $18, $19)")
X(RELEASE_GET, MAIN, "SELECT " RELEASE_COLUMNS " FROM releases r WHERE r.id = $1")
X(RELEASE_BY_NAME, MAIN, "SELECT " RELEASE_COLUMNS " FROM releases r WHERE r.name = $1")
X(RELEASE_PUT, MAIN,
  "UPDATE releases SET state = $1, complete = $2, published = $3, urgency = $4, urgency_by = $5, "
  "outage_s = $6, approved_by = $7, approved = $8, etag = etag + 1 WHERE id = $9")
X(RELEASE_LIST, MAIN,
  "SELECT " RELEASE_COLUMNS " FROM releases r WHERE r.id > $1 ORDER BY r.id LIMIT $2")
X(RELEASE_BY_MANIFEST, MAIN,
  "SELECT " RELEASE_COLUMNS " FROM releases r WHERE r.manifest = $1 ORDER BY r.id DESC LIMIT 1")
X(RELEASE_BEFORE_OF_CLASS, MAIN,
  "SELECT " RELEASE_COLUMNS " FROM releases r WHERE r.vendor_id = $1 AND r.class_id = $2 "
  "AND r.sequence < $3 AND r.approved > 0 ORDER BY r.sequence DESC, r.id DESC LIMIT 1")
X(RELEASE_BEFORE_OF_MODEL, MAIN,
  "SELECT " RELEASE_COLUMNS " FROM releases r WHERE r.vendor_id = $1 AND r.class_id IS NULL "
  "AND r.model = $2 AND r.sequence < $3 AND r.approved > 0 "
  "ORDER BY r.sequence DESC, r.id DESC LIMIT 1")
X(RELEASE_BY_ANCHOR, MAIN,
  "SELECT " RELEASE_COLUMNS " FROM manifests m JOIN releases r ON r.manifest = m.digest "
  "WHERE m.anchor = $1 AND r.id > $2 ORDER BY r.id LIMIT $3")
X(RELEASE_BY_IMAGE, MAIN,
  "SELECT DISTINCT " RELEASE_COLUMNS " FROM manifest_images i "
  "JOIN manifests m ON m.id = i.manifest JOIN releases r ON r.manifest = m.digest "
  "WHERE i.digest = $1 AND r.id > $2 AND r.state <> 'withdrawn' ORDER BY r.id LIMIT $3")
/* the newest is the highest sequence: a well-known path never goes back */
X(RELEASE_PUBLISHED, MAIN,
  "SELECT " RELEASE_COLUMNS " FROM releases r WHERE r.manufacturer = $1 AND r.model = $2 "
  "AND r.published = 1 AND r.state = 'approved' ORDER BY r.sequence DESC, r.id DESC LIMIT 1")
X(RELEASE_PUBLISHED_LIST, MAIN,
  "SELECT " RELEASE_COLUMNS " FROM releases r WHERE r.id > $1 AND r.published = 1 "
  "AND r.state = 'approved' ORDER BY r.id LIMIT $2")
X(FLOOR_GET, MAIN, "SELECT sequence FROM class_floors WHERE vendor_id = $1 AND class_id = $2")
X(FLOOR_RAISE, MAIN,
  "INSERT INTO class_floors (vendor_id, class_id, sequence) VALUES ($1, $2, $3) "
  "ON CONFLICT (vendor_id, class_id) DO UPDATE SET sequence = excluded.sequence "
  "WHERE excluded.sequence > class_floors.sequence")
X(ROUTE_ADD, MAIN,
  "INSERT INTO routes (path, release, digest) VALUES ($1, $2, $3) "
  "ON CONFLICT (path, release) DO UPDATE SET digest = excluded.digest")
X(ROUTE_REMOVE, MAIN, "DELETE FROM routes WHERE release = $1")
X(ROUTE_PUBLISHED, MAIN,
  "SELECT t.digest, t.release FROM routes t JOIN releases r ON r.id = t.release "
  "WHERE t.path = $1 AND r.published = 1 AND r.state = 'approved' "
  "ORDER BY r.sequence DESC, r.id DESC LIMIT 1")
X(ROUTE_OF_RELEASE, MAIN, "SELECT digest FROM routes WHERE path = $1 AND release = $2")
X(OBJECT_PUBLISHED_MANIFEST, MAIN,
  "SELECT id FROM releases WHERE manifest = $1 AND id > $2 AND published = 1 "
  "AND state = 'approved' ORDER BY id LIMIT 1")
X(OBJECT_PUBLISHED_IMAGE, MAIN,
  "SELECT r.id FROM manifest_images i JOIN manifests m ON m.id = i.manifest "
  "JOIN releases r ON r.manifest = m.digest "
  "WHERE i.digest = $1 AND r.id > $2 AND r.published = 1 AND r.state = 'approved' "
  "ORDER BY r.id LIMIT 1")
