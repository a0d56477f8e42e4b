/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_STORE_SCHEMA_SQL_H
#define FETTLE_STORE_SCHEMA_SQL_H

/* The texts of schema/ *.sql, by file name; schema_sql.c is generated when Fettle is built. */
struct schema_sql {
	const char *name;
	const char *sql;
};

extern const struct schema_sql schema_sql[];
extern const unsigned schema_sql_count;

#endif
