/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
/* See statements_fleet.h. */

/* Calls to devices */
X(CALL_GET, MAIN, "SELECT " CALL_COLUMNS " FROM calls WHERE dev = $1")
X(CALL_PUT, MAIN,
  "INSERT INTO calls (" CALL_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "
  "$12, $13, $14, $15) ON CONFLICT (dev) DO UPDATE SET sent = excluded.sent, due = excluded.due, "
  "serial = excluded.serial, kind = excluded.kind, want = excluded.want, upd = excluded.upd, "
  "attempt = excluded.attempt, manifest = excluded.manifest, image = excluded.image, "
  "held = excluded.held, applied = excluded.applied, tries = excluded.tries, runs = excluded.runs, "
  "reason = excluded.reason")
X(CALL_REMOVE, MAIN, "DELETE FROM calls WHERE dev = $1")
X(CALL_DUE, MAIN,
  "SELECT " CALL_COLUMNS " FROM calls WHERE sent = $1 AND due > 0 AND due <= $2 "
  "ORDER BY due, dev LIMIT $3")
X(CALL_DUE_RUNNING, MAIN,
  "SELECT " CALL_COLUMNS " FROM calls INDEXED BY calls_running "
  "WHERE sent = 0 AND runs = 1 AND due > 0 AND due <= $1 "
  "ORDER BY due, dev LIMIT $2")
X(CALL_NEXT_DUE, MAIN,
  "SELECT due FROM calls WHERE sent = $1 AND due > 0 ORDER BY due LIMIT 1")
/* there are never more than may be under way */
X(CALL_SENT_COUNT, MAIN, "SELECT COUNT(*) FROM calls WHERE sent = 1 AND due > 0")
X(CALL_SENT_LOST, MAIN, "UPDATE calls SET due = $1 WHERE sent = 1 AND due > 0 AND due > $2")

/* Outages */
X(OUTAGE_ADD, MAIN,
  "INSERT OR IGNORE INTO outages (dev, upd, seconds, walked, until, told, acknowledged) "
  "VALUES ($1, $2, $3, $4, $5, $6, $7)")
X(OUTAGE_GET, MAIN, "SELECT " OUTAGE_COLUMNS " FROM outages o WHERE o.dev = $1 AND o.upd = $2")
X(OUTAGE_WALK, MAIN,
  "SELECT " OUTAGE_COLUMNS " FROM outages o WHERE o.upd = $1 AND o.walked >= 0 "
  "ORDER BY o.upd, o.dev LIMIT 1")
X(OUTAGE_WALKED, MAIN, "UPDATE outages SET walked = $1 WHERE dev = $2 AND upd = $3")
X(OUTAGE_UNTOLD, MAIN,
  "SELECT until FROM outages WHERE upd = $1 AND told = 0 ORDER BY until DESC LIMIT 1")
X(OUTAGE_UNTOLD_SOME, MAIN,
  "SELECT dev FROM outages WHERE upd = $1 AND told = 0 LIMIT $2")
X(OUTAGE_OPEN_OF, MAIN,
  "SELECT " OUTAGE_COLUMNS " FROM outages o JOIN updates u ON u.id = o.upd "
  "WHERE o.dev = $1 AND u.open = 1 AND o.upd > $2 ORDER BY o.upd LIMIT $3")
X(OUTAGE_REMOVE, MAIN, "DELETE FROM outages WHERE dev = $1 AND upd = $2")
X(OUTAGE_TOLD, MAIN, "UPDATE outages SET told = $1 WHERE dev = $2 AND upd = $3 AND told = 0")
X(OUTAGE_ACKNOWLEDGE, MAIN,
  "UPDATE outages SET told = CASE WHEN told = 0 THEN $1 ELSE told END, acknowledged = $2 "
  "WHERE dev = $3 AND upd = $4 AND acknowledged = 0")
X(OUTAGE_LIST, MAIN,
  "SELECT " OUTAGE_COLUMNS " FROM outages o WHERE o.upd = $1 AND o.dev > $2 "
  "ORDER BY o.dev LIMIT $3")
X(OUTAGE_NEXT, MAIN, "SELECT upd FROM outages WHERE upd > $1 ORDER BY upd LIMIT 1")
X(OUTAGE_SWEEP, MAIN,
  "DELETE FROM outages WHERE (dev, upd) IN (SELECT o.dev, o.upd FROM outages o "
  "WHERE o.upd = $1 AND NOT EXISTS (SELECT 1 FROM updates u WHERE u.id = o.upd AND u.open = 1) "
  "LIMIT $2)")
X(DEVICE_BELOW, MAIN,
  "SELECT d.dev FROM devices d WHERE d.parent = $1 AND d.parent <> '' AND d.dev > $2 "
  "ORDER BY d.dev LIMIT $3")

/* Diagnostics */
X(DIAG_ADD, MAIN,
  "INSERT INTO diagnostics (dev, at, content_format, body) VALUES ($1, $2, $3, $4)")
X(DIAG_KEEP, MAIN,
  "DELETE FROM diagnostics WHERE dev = $1 AND id NOT IN (SELECT id FROM diagnostics "
  "WHERE dev = $2 ORDER BY id DESC LIMIT $3)")
X(DIAG_LIST, MAIN,
  "SELECT id, at, content_format, body FROM diagnostics WHERE dev = $1 ORDER BY id DESC LIMIT $2")
X(DEVICE_ASK_DIAG, MAIN, "UPDATE devices SET ask_diag = $1 WHERE dev = $2")
