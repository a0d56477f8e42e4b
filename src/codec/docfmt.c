/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "codec/docfmt.h"

#include "codec/docfmt_cbor.h"
#include "codec/json.h"

int docfmt_decode(enum media m, struct slice bytes, struct arena *a, const struct doc **out,
		  struct err *e)
{
	*out = NULL;
	if (bytes.n == 0)
		return err_set(e, ERR_MALFORMED, "empty body");
	if (m == MEDIA_CBOR)
		return docfmt_cbor_decode(bytes, a, out, e);
	if (m == MEDIA_PROBLEM_CBOR)
		return docfmt_problem_decode(bytes, a, out, e);
	if (m == MEDIA_JSON || m == MEDIA_PROBLEM_JSON)
		return json_decode(bytes, a, out, e);
	return err_set(e, ERR_MEDIA, "content format is neither JSON nor CBOR");
}

int docfmt_encode(enum media m, const struct doc *d, struct buf *out, struct err *e)
{
	if (!d)
		return err_set(e, ERR_NO_MEMORY, "no memory for the document");
	if (m == MEDIA_CBOR)
		return docfmt_cbor_encode(d, out, e);
	if (m == MEDIA_PROBLEM_CBOR)
		return docfmt_problem_encode(d, out, e);
	if (m == MEDIA_JSON || m == MEDIA_PROBLEM_JSON)
		return json_encode(d, false, out, e);
	return err_set(e, ERR_NOT_ACCEPTABLE, "documents are JSON or CBOR");
}

int docfmt_encode_pretty(const struct doc *d, struct buf *out, struct err *e)
{
	if (!d)
		return err_set(e, ERR_NO_MEMORY, "no memory for the document");
	return json_encode(d, true, out, e);
}
