/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_CODEC_DOCFMT_KEYS_H
#define FETTLE_CODEC_DOCFMT_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/*
 * Member names of device messages <-> their CBOR numbers. Numbers run from 1 to
 * docfmt_key_max() without a gap; schema/device.cddl says the same.
 */
uint8_t docfmt_key_max(void);
struct slice docfmt_key_name(uint64_t number);	/* empty when there is none */
uint8_t docfmt_key_number(struct slice name);	/* 0 when there is none */

#endif
