/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "store/internal.h"

const struct statement_text store_statements[STMT_COUNT] = {
#define X(id, database, sql) [STMT_##id] = { .name = #id, .db = DB_##database, .text = sql },
#include "store/statements_fleet.h"
#include "store/statements_goods.h"
#include "store/statements_work.h"
#include "store/statements_calls.h"
#undef X
};
