/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
/*
 * X(NAME, database, text), included several times on purpose. Texts stay in what
 * SQLite and PostgreSQL share; $1 $2 ... first appear in ascending order.
 */

/* Transactions */
X(MAIN_BEGIN, MAIN, "BEGIN")
X(MAIN_COMMIT, MAIN, "COMMIT")
X(MAIN_ROLLBACK, MAIN, "ROLLBACK")
X(IMAGES_BEGIN, IMAGES, "BEGIN")
X(IMAGES_COMMIT, IMAGES, "COMMIT")
X(IMAGES_ROLLBACK, IMAGES, "ROLLBACK")
X(HANDLER_OPEN, MAIN, "SAVEPOINT handler")
X(HANDLER_ROLLBACK, MAIN, "ROLLBACK TO SAVEPOINT handler")
X(HANDLER_KEEP, MAIN, "RELEASE SAVEPOINT handler")

/* Small values */
X(META_GET, MAIN, "SELECT number, bytes FROM meta WHERE key = $1")
X(META_PUT, MAIN,
  "INSERT INTO meta (key, number, bytes) VALUES ($1, $2, $3) "
  "ON CONFLICT (key) DO UPDATE SET number = excluded.number, bytes = excluded.bytes")
/* a number that never comes back, also not after a rollback */
X(META_STIR, MAIN, "UPDATE meta SET number = random() WHERE key = $1")
X(META_ADD, MAIN, "UPDATE meta SET number = number + $1 WHERE key = $2")

/* Devices */
X(DEVICE_ADD, MAIN,
  "INSERT INTO devices (id, auth, mode, registered, disabled, vendor_id, class_id, "
  "manufacturer, model, parent, contact_interval_s, floor_sequence, held, created, changed, etag, "
  "endpoint_host, capabilities, held_back, ask_diag) "
  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, "
  "$20)")
X(DEVICE_BY_ID, MAIN, "SELECT " DEVICE_COLUMNS " FROM devices d WHERE d.id = $1")
X(DEVICE_BY_DEV, MAIN, "SELECT " DEVICE_COLUMNS " FROM devices d WHERE d.dev = $1")
/* id never changes; parent has an index and its own statement */
X(DEVICE_PUT, MAIN,
  "UPDATE devices SET auth = $1, mode = $2, registered = $3, disabled = $4, vendor_id = $5, "
  "class_id = $6, manufacturer = $7, model = $8, contact_interval_s = $9, floor_sequence = $10, "
  "held = $11, changed = $12, endpoint_host = $13, capabilities = $14, held_back = $15, "
  "ask_diag = $16, etag = etag + 1 WHERE dev = $17")
X(CANARY_USED, MAIN, "SELECT 1 FROM device_tags WHERE tag = 'canary' LIMIT 1")
X(DEVICE_PARENT, MAIN, "SELECT parent FROM devices WHERE dev = $1")
X(DEVICE_PUT_PARENT, MAIN, "UPDATE devices SET parent = $1 WHERE dev = $2 AND parent <> $3")
X(DEVICE_REMOVE, MAIN, "DELETE FROM devices WHERE dev = $1")
X(DEVICE_FLOOR, MAIN,
  "UPDATE devices SET floor_sequence = $1 "
  "WHERE dev = $2 AND (floor_sequence IS NULL OR floor_sequence < $3)")
X(DEVICE_LAST, MAIN, "SELECT dev FROM devices ORDER BY dev DESC LIMIT 1")

X(ATTRIBUTE_PUT, MAIN,
  "INSERT INTO device_attributes (dev, reported, name, number, text) VALUES ($1, $2, $3, $4, $5) "
  "ON CONFLICT (dev, reported, name) DO UPDATE SET number = excluded.number, text = excluded.text")
X(ATTRIBUTE_GET, MAIN,
  "SELECT number, text FROM device_attributes WHERE dev = $1 AND reported = $2 AND name = $3")
X(ATTRIBUTE_REMOVE, MAIN,
  "DELETE FROM device_attributes WHERE dev = $1 AND reported = $2 AND name = $3")
X(ATTRIBUTE_COUNT, MAIN,
  "SELECT count(*) FROM device_attributes WHERE dev = $1 AND reported = $2")
X(ATTRIBUTE_LIST, MAIN,
  "SELECT name, number, text FROM device_attributes WHERE dev = $1 AND reported = $2 "
  "ORDER BY name LIMIT $3")

X(TAG_PUT, MAIN,
  "INSERT INTO device_tags (dev, tag) VALUES ($1, $2) ON CONFLICT (dev, tag) DO NOTHING")
X(TAG_REMOVE, MAIN, "DELETE FROM device_tags WHERE dev = $1 AND tag = $2")
X(TAG_COUNT, MAIN, "SELECT count(*) FROM device_tags WHERE dev = $1")
X(TAG_LIST, MAIN, "SELECT tag FROM device_tags WHERE dev = $1 ORDER BY tag LIMIT $2")

X(GROUP_ADD, MAIN, "INSERT INTO device_groups (name) VALUES ($1)")
X(GROUP_ID, MAIN, "SELECT id FROM device_groups WHERE name = $1")
X(GROUP_NAME, MAIN, "SELECT name FROM device_groups WHERE id = $1")
X(GROUP_REMOVE, MAIN, "DELETE FROM device_groups WHERE name = $1")
X(GROUP_LIST, MAIN, "SELECT id, name FROM device_groups WHERE id > $1 ORDER BY id LIMIT $2")
X(MEMBER_PUT, MAIN,
  "INSERT INTO group_members (dev, grp) VALUES ($1, $2) ON CONFLICT (dev, grp) DO NOTHING")
X(MEMBER_REMOVE, MAIN, "DELETE FROM group_members WHERE dev = $1 AND grp = $2")
X(MEMBER_COUNT, MAIN, "SELECT count(*) FROM group_members WHERE dev = $1")
X(MEMBER_GROUPS, MAIN,
  "SELECT g.name FROM group_members m JOIN device_groups g ON g.id = m.grp WHERE m.dev = $1 "
  "ORDER BY g.name LIMIT $2")
X(MEMBER_NEXT_GROUP, MAIN, "SELECT grp FROM group_members WHERE grp > $1 ORDER BY grp LIMIT 1")
X(GROUP_EXISTS, MAIN, "SELECT 1 FROM device_groups WHERE id = $1")
X(MEMBER_SWEEP, MAIN,
  "DELETE FROM group_members WHERE grp = $1 AND dev IN "
  "(SELECT dev FROM group_members WHERE grp = $2 ORDER BY dev LIMIT $3)")

/* Windows */
X(WINDOW_ADD, MAIN,
  "INSERT INTO windows (level, ref, class_id, model, reported, blackout, rrule, starts, zone, "
  "duration_s, created, made_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
X(WINDOW_GET, MAIN, "SELECT " WINDOW_COLUMNS " FROM windows w WHERE w.id = $1")
X(WINDOW_REMOVE, MAIN, "DELETE FROM windows WHERE id = $1")
X(WINDOW_REMOVE_REF, MAIN, "DELETE FROM windows WHERE level = $1 AND ref = $2")
X(WINDOW_REMOVE_REPORTED, MAIN,
  "DELETE FROM windows WHERE level = 'device' AND ref = $1 AND reported = 1")
X(WINDOW_LIST, MAIN,
  "SELECT " WINDOW_COLUMNS " FROM windows w WHERE w.id > $1 ORDER BY w.id LIMIT $2")
X(WINDOW_OF_REF, MAIN,
  "SELECT " WINDOW_COLUMNS " FROM windows w WHERE w.level = $1 AND w.ref = $2 AND w.id > $3 "
  "ORDER BY w.id LIMIT $4")
X(WINDOW_OF_CLASS, MAIN,
  "SELECT " WINDOW_COLUMNS " FROM windows w WHERE w.class_id = $1 AND w.id > $2 "
  "ORDER BY w.id LIMIT $3")
X(WINDOW_OF_MODEL, MAIN,
  "SELECT " WINDOW_COLUMNS " FROM windows w WHERE w.model = $1 AND w.model <> '' AND w.id > $2 "
  "ORDER BY w.id LIMIT $3")
/* each of its terms by an index: a device is in few groups, and each thing has few windows */
X(WINDOW_CONCERNING, MAIN,
  "SELECT " WINDOW_COLUMNS " FROM windows w WHERE (w.level = 'device' AND w.ref = $1) "
  "OR (w.level = 'group' AND w.ref IN (SELECT m.grp FROM group_members m WHERE m.dev = $2)) "
  "OR (w.class_id = $3 AND w.class_id IS NOT NULL) OR (w.model = $4 AND w.model <> '') "
  "OR (w.level = 'rollout' AND w.ref = $5) LIMIT $6")

/* Live part */
X(LIVE_GET, MAIN,
  "SELECT last_seen, boot, boots, ip, endpoint_port, service, service_until, battery, free_flash, "
  "free_ram, polls, status_at, track_seen FROM device_live WHERE dev = $1")
X(LIVE_PUT, MAIN,
  "UPDATE device_live SET last_seen = $1, boot = $2, boots = $3, ip = $4, endpoint_port = $5, "
  "service = $6, service_until = $7, battery = $8, free_flash = $9, free_ram = $10, "
  "status_at = $11, track_seen = $12 WHERE dev = $13")
X(LIVE_ADD, MAIN,
  "INSERT INTO device_live (last_seen, boot, boots, ip, endpoint_port, service, service_until, "
  "battery, free_flash, free_ram, status_at, track_seen, dev) "
  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)")
X(LIVE_SEEN, MAIN,
  "UPDATE device_live SET last_seen = CASE WHEN track_seen <= $1 THEN $2 ELSE last_seen END, "
  "track_seen = max(track_seen, $3), polls = polls + $4 WHERE dev = $5")
X(LIVE_SEEN_ADD, MAIN,
  "INSERT INTO device_live (last_seen, track_seen, polls, boot, boots, ip, endpoint_port, "
  "service, service_until, battery, free_flash, free_ram, dev) "
  "SELECT $1, $2, $3, $4, $5, $6, 0, '', 0, -1, -1, -1, dev FROM devices WHERE dev = $7")
X(COMPONENT_LIST, MAIN,
  "SELECT name, version, sequence, digest FROM device_components WHERE dev = $1 "
  "ORDER BY n LIMIT 16")
X(COMPONENT_CLEAR, MAIN, "DELETE FROM device_components WHERE dev = $1")
X(COMPONENT_ADD, MAIN,
  "INSERT INTO device_components (dev, n, name, version, sequence, digest) "
  "VALUES ($1, $2, $3, $4, $5, $6)")

/* Credentials */
X(CREDENTIAL_ADD, MAIN,
  "INSERT INTO credentials (dev, kind, identity, secret, created, not_after, revoked) "
  "VALUES ($1, $2, $3, $4, $5, $6, $7)")
X(CREDENTIAL_TAKEN, MAIN,
  "SELECT 1 FROM credentials WHERE kind = $1 AND identity = $2 AND identity <> '' "
  "AND dev <> $3 AND revoked = 0 LIMIT 1")
X(CREDENTIAL_BY_IDENTITY, MAIN,
  "SELECT " CREDENTIAL_COLUMNS " FROM credentials WHERE kind = $1 AND identity = $2 "
  "AND identity <> '' ORDER BY CASE WHEN revoked = 0 AND (not_after = 0 OR not_after > $3) "
  "THEN 0 ELSE 1 END, id DESC LIMIT 1")
X(CREDENTIAL_BY_HASH, MAIN,
  "SELECT " CREDENTIAL_COLUMNS " FROM credentials WHERE kind = 'token' AND secret = $1")
X(CREDENTIAL_GET, MAIN,
  "SELECT " CREDENTIAL_COLUMNS " FROM credentials WHERE id = $1 AND dev = $2")
X(CREDENTIAL_LIST, MAIN,
  "SELECT " CREDENTIAL_COLUMNS " FROM credentials WHERE dev = $1 AND id > $2 ORDER BY id LIMIT $3")
X(CREDENTIAL_REVOKE, MAIN,
  "UPDATE credentials SET revoked = CASE WHEN revoked = 0 THEN $1 ELSE revoked END "
  "WHERE id = $2 AND dev = $3")
X(CREDENTIAL_USABLE, MAIN,
  "SELECT count(*) FROM credentials WHERE dev = $1 AND revoked = 0 "
  "AND (not_after = 0 OR not_after > $2)")
X(IDENTITY_END, MAIN,
  "INSERT INTO ended_identities (identity, at) SELECT identity, $1 FROM credentials "
  "WHERE dev = $2 AND kind = 'psk' AND identity <> '' "
  "ON CONFLICT (identity) DO UPDATE SET at = excluded.at")
X(IDENTITY_ENDED, MAIN,
  "SELECT 1 FROM ended_identities WHERE identity = $1 AND at > $2 UNION ALL "
  "SELECT 1 FROM credentials WHERE kind = 'psk' AND identity = $3 AND identity <> '' "
  "AND (revoked > $4 OR (revoked = 0 AND not_after > $5 AND not_after <= $6)) LIMIT 1")
X(IDENTITY_SWEEP, MAIN,
  "DELETE FROM ended_identities WHERE identity IN "
  "(SELECT identity FROM ended_identities WHERE at <= $1 ORDER BY at LIMIT $2)")

/* Anchors, tokens, operators, policies */
X(ANCHOR_ADD, MAIN,
  "INSERT INTO anchors (vendor, vendor_id, key_id, spki, alg, not_before, not_after, revoked, "
  "created, made_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
X(ANCHOR_GET, MAIN, "SELECT " ANCHOR_COLUMNS " FROM anchors WHERE id = $1")
X(ANCHOR_LIST, MAIN, "SELECT " ANCHOR_COLUMNS " FROM anchors WHERE id > $1 ORDER BY id LIMIT $2")
X(ANCHOR_FOR_VENDOR, MAIN,
  "SELECT " ANCHOR_COLUMNS " FROM anchors WHERE vendor_id = $1 AND id > $2 ORDER BY id LIMIT $3")
X(ANCHOR_REVOKE, MAIN,
  "UPDATE anchors SET revoked = CASE WHEN revoked = 0 THEN $1 ELSE revoked END WHERE id = $2")
X(TOKEN_ADD, MAIN,
  "INSERT INTO tokens (name, role, hash, scope, created, not_after, revoked, made_by) "
  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
X(TOKEN_BY_HASH, MAIN, "SELECT " TOKEN_COLUMNS " FROM tokens WHERE hash = $1")
X(TOKEN_LIST, MAIN, "SELECT " TOKEN_COLUMNS " FROM tokens WHERE id > $1 ORDER BY id LIMIT $2")
X(TOKEN_REVOKE, MAIN,
  "UPDATE tokens SET revoked = CASE WHEN revoked = 0 THEN $1 ELSE revoked END WHERE id = $2")
X(OPERATOR_GET, MAIN, "SELECT uid, role, created, made_by FROM operators WHERE uid = $1")
X(OPERATOR_PUT, MAIN,
  "INSERT INTO operators (uid, role, created, made_by) VALUES ($1, $2, $3, $4) "
  "ON CONFLICT (uid) DO UPDATE SET role = excluded.role, made_by = excluded.made_by")
X(OPERATOR_REMOVE, MAIN, "DELETE FROM operators WHERE uid = $1")
X(OPERATOR_LIST, MAIN,
  "SELECT uid, role, created, made_by FROM operators WHERE uid > $1 ORDER BY uid LIMIT $2")
X(POLICY_GET, MAIN, "SELECT body FROM policies WHERE name = $1")
X(POLICY_PUT, MAIN,
  "INSERT INTO policies (name, body) VALUES ($1, $2) "
  "ON CONFLICT (name) DO UPDATE SET body = excluded.body")
