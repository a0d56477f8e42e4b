/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "service/secret.h"

#include "base/text.h"
#include "codec/crypto.h"

int secret_make(const char *prefix, char token[SECRET_TEXT], struct digest *hash)
{
	struct buf b = BUF_INIT(SECRET_TEXT);
	uint8_t bits[32];
	int rc = -1;

	random_bytes(bits, sizeof(bits));
	buf_add_str(&b, prefix);
	if (text_base64url(&b, slice_of(bits, sizeof(bits))) == 0 && !b.failed)
		rc = text_copy_slice(token, SECRET_TEXT, buf_slice(&b));
	buf_free(&b);
	return rc == 0 ? sha256_once(slice_str(token), hash) : -1;
}
