/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdlib.h>
#include <string.h>

#include "service/route.h"

#define SEGMENTS_MAX 8
#define BUCKETS 256 /* a power of two, several times the routes */

/* One pattern, cut. The rest of a path, where the last segment is "<name...>", is one hole. */
struct pattern {
	const struct route *route;
	struct slice seg[SEGMENTS_MAX];
	uint8_t n;
	uint8_t holes; /* bit i: seg[i] is a hole */
	bool rest;
	struct pattern *next; /* in its bucket */
};

struct route_index {
	struct pattern *patterns;
	struct pattern *bucket[BUCKETS];
	struct pattern *rests; /* patterns with a rest, in the table's order */
};

/* Cut at '/'. Returns the number of segments, SEGMENTS_MAX + 1 when there are more. */
static unsigned cut_path(struct slice path, struct slice seg[SEGMENTS_MAX])
{
	unsigned n = 0;
	size_t start = 1;

	if (path.n <= 1)
		return 0;
	for (size_t i = 1; i <= path.n; i++) {
		if (i < path.n && path.p[i] != '/')
			continue;
		if (n == SEGMENTS_MAX)
			return SEGMENTS_MAX + 1;
		seg[n++] = slice_of(path.p + start, i - start);
		start = i + 1;
	}
	return n;
}

static uint32_t mix(uint32_t h, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ s.p[i]) * 16777619u;
	return h;
}

/* "/api/v1/x" is told apart by x, others by their first segment. Holes are never there. */
static unsigned bucket_of(const struct slice *seg, unsigned n)
{
	uint32_t h = 2166136261u ^ n;

	if (n > 0)
		h = mix(h, seg[n > 2 && slice_eq_str(seg[0], "api") ? 2 : 0]);
	return (h ^ h >> 16) & (BUCKETS - 1);
}

static int prepare(struct pattern *p, const struct route *r, struct err *e)
{
	unsigned n = cut_path(slice_str(r->pattern), p->seg), holes = 0;

	if (n > SEGMENTS_MAX || r->pattern[0] != '/')
		return err_set(e, ERR_INTERNAL, "route %s: not a path of few segments", r->pattern);
	for (unsigned i = 0; i < n; i++) {
		if (p->seg[i].p[0] != '<')
			continue;
		p->holes |= (uint8_t)(1u << i);
		holes++;
		if (p->seg[i].n > 5 && memcmp(p->seg[i].p + p->seg[i].n - 4, "...>", 4) == 0)
			p->rest = i + 1 == n;
	}
	if (holes > HOLES_MAX)
		return err_set(e, ERR_INTERNAL, "route %s: too many holes", r->pattern);
	p->route = r;
	p->n = (uint8_t)n;
	return 0;
}

int route_index_new(const struct route *table, unsigned n, struct route_index **out, struct err *e)
{
	struct route_index *ix = calloc(1, sizeof(*ix));
	struct pattern **rest;

	if (!ix || !(ix->patterns = calloc(n ? n : 1, sizeof(*ix->patterns)))) {
		free(ix);
		return err_set(e, ERR_NO_MEMORY, "no memory for the routes");
	}
	rest = &ix->rests;
	for (unsigned i = 0; i < n; i++) {
		struct pattern *p = &ix->patterns[i];

		if (prepare(p, &table[i], e) != 0) {
			route_index_free(ix);
			return -1;
		}
		if (p->rest) {
			*rest = p;
			rest = &p->next;
		} else {
			unsigned b = bucket_of(p->seg, p->n);
			p->next = ix->bucket[b];
			ix->bucket[b] = p;
		}
	}
	*out = ix;
	return 0;
}

void route_index_free(struct route_index *ix)
{
	if (!ix)
		return;
	free(ix->patterns);
	free(ix);
}

static bool same_fixed(const struct pattern *p, const struct slice *seg, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!(p->holes & 1u << i) && !slice_eq(p->seg[i], seg[i]))
			return false;
	return true;
}

static void fill_holes(const struct pattern *p, const struct slice *seg, struct slice path,
		       struct slice hole[HOLES_MAX])
{
	unsigned h = 0;

	for (unsigned i = 0; i < p->n; i++) { /* holes were counted when it was cut */
		if (!(p->holes & 1u << i))
			continue;
		if (p->rest && i + 1u == p->n)
			hole[h++] = slice_of(seg[i].p, (size_t)(path.p + path.n - seg[i].p));
		else
			hole[h++] = seg[i];
	}
}

static const struct pattern *find_rest(const struct route_index *ix, enum method m,
				       const struct slice *seg, unsigned n)
{
	for (const struct pattern *p = ix->rests; p; p = p->next)
		if (p->route->method == m && n >= p->n && same_fixed(p, seg, p->n - 1u))
			return p;
	return NULL;
}

/* How many segments of a path too long for the table are looked at. */
static unsigned shown(unsigned n)
{
	return n > SEGMENTS_MAX ? SEGMENTS_MAX : n;
}

const struct route *route_find(const struct route_index *ix, enum method m, struct slice path,
			       struct slice hole[HOLES_MAX], uint8_t *allow, struct err *e)
{
	struct slice seg[SEGMENTS_MAX];
	unsigned n = cut_path(path, seg);
	unsigned others = 0;

	*allow = 0;
	if (m == METHOD_HEAD)
		m = METHOD_GET;
	if (n > 1 && slice_eq_str(seg[0], "d"))
		seg[0] = slice_str("device");
	if (n <= SEGMENTS_MAX) {
		for (const struct pattern *p = ix->bucket[bucket_of(seg, n)]; p; p = p->next) {
			if (p->n != n || !same_fixed(p, seg, n))
				continue;
			if (p->route->method == m) {
				fill_holes(p, seg, path, hole);
				return p->route;
			}
			others |= METHOD_BIT(p->route->method);
		}
	}
	if (others) {
		*allow =
			(uint8_t)(others & METHOD_BIT(METHOD_GET) ? others | METHOD_BIT(METHOD_HEAD)
								  : others);
		err_set(e, ERR_METHOD, "%s is not for this resource", method_name(m));
		return NULL;
	}
	const struct pattern *p = find_rest(ix, m, seg, shown(n));
	if (p) {
		fill_holes(p, seg, path, hole);
		return p->route;
	}
	err_set(e, ERR_NOT_FOUND, "there is nothing at this path");
	return NULL;
}
