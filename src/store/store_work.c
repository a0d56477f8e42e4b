/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/internal.h"

static void add(struct store_work *w, sqlite3_stmt *s)
{
	if (!s)
		return;
	w->statements += sqlite3_stmt_status(s, SQLITE_STMTSTATUS_RUN, 1);
	w->steps += sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 1);
	w->scanned += sqlite3_stmt_status(s, SQLITE_STMTSTATUS_FULLSCAN_STEP, 1);
	w->sorts += sqlite3_stmt_status(s, SQLITE_STMTSTATUS_SORT, 1);
}

void store_work_take(struct store *st, struct store_work *out)
{
	*out = (struct store_work){ .statements = 0 };
	for (int i = 0; i < STMT_COUNT; i++)
		add(out, st->stmts[i]);
	for (int i = 0; i < STORE_DYNAMIC; i++)
		add(out, st->dynamic[i].s);
}
