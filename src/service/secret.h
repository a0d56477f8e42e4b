/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_SERVICE_SECRET_H
#define FETTLE_SERVICE_SECRET_H

#include "base/ids.h"

/* A bearer token: prefix and 256 random bits as base64url. Only its hash is ever stored. */
#define SECRET_TEXT 64
int secret_make(const char *prefix, char token[SECRET_TEXT], struct digest *hash);

#endif
