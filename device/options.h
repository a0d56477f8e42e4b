/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_DEVICE_OPTIONS_H
#define FETTLE_DEVICE_OPTIONS_H

#include "device/carrier.h"

#define ANCHORS_MAX 8
#define FLEET_MAX 1000000

enum load_kind { LOAD_NONE, LOAD_REPORTS, LOAD_POLLS, LOAD_BLOCKS };

#define LIST_MAX 16
struct list {			/* ends in NULL */
	const char *v[LIST_MAX + 1];
	unsigned n;
};

/* The command line, checked. Texts point into argv. */
struct options {
	const char *server, *id, *state_dir, *psk_file, *psk_identity, *token_file, *ca;
	const char *service, *parent, *reason;
	struct list windows, attributes;
	bool push, pull;
	uint64_t endpoint, service_s, battery, free_flash, fail_first, attempts;
	const char *vendor, *class_, *mode, *version, *silent_after;
	const char *anchors[ANCHORS_MAX];
	unsigned n_anchors;
	uint64_t sequence, poll_s, block, max_image, timeout_s, defer_s;
	bool has_sequence, reject, once, until_done, tamper, fail_install, roll_back, verbose;
	/* fleets and load */
	uint64_t fleet, seed, window, seconds, addresses;
	const char *prefix, *log, *enroll_out, *load, *image, *path;
	double fail_percent, defer_percent, silent_percent, reject_percent, roll_back_percent;
	double loss_percent, dtls_percent, negotiated_percent, server_percent;
	const char *modes, *expect;
	uint64_t dtls_port, sessions;
	bool auth_none;
	enum load_kind load_kind;
	bool help, show_version;
};

/* 0, or -1 with e naming the option. */
int options_parse(int argc, char **argv, struct options *o, struct err *e);
void options_help(void);
/* "2%", "0.5%", "2" */
int options_percent(const char *text, double *out);

/* What options name, loaded. Keys are freed by plan_free(). */
int plan_make(const struct options *o, struct agent_plan *p, struct err *e);
void plan_free(struct agent_plan *p);
int carrier_options_make(const struct options *o, struct carrier_options *c, struct err *e);
/* A key of hex digits, from a file. */
int psk_read(const char *path, uint8_t key[PSK_MAX], size_t *n, struct err *e);

/* single.c, fleet.c, load.c: exit codes */
enum { EXIT_DONE_ = 0, EXIT_FAILED_ = 1, EXIT_USAGE_ = 2, EXIT_UNREACHABLE_ = 3 };
int single_run(const struct options *o);
int fleet_run(const struct options *o);
int load_run(const struct options *o);

#endif
