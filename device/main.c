/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <signal.h>
#include <stdio.h>

#include "base/log.h"
#include "config.h"
#include "device/options.h"

int main(int argc, char **argv)
{
	struct options o;
	struct err e = { 0 };

	if (options_parse(argc, argv, &o, &e) != 0) {
		fprintf(stderr, "fettle-device: %s\nTry 'fettle-device --help'.\n", e.text);
		return EXIT_USAGE_;
	}
	if (o.help) {
		options_help();
		return EXIT_DONE_;
	}
	if (o.show_version) {
		printf("fettle-device %s\n", PACKAGE_VERSION);
		return EXIT_DONE_;
	}
	log_init("fettle-device", o.verbose ? LOG_INFO_ : LOG_WARN_);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return EXIT_FAILED_;
	if (o.load)
		return load_run(&o);
	return o.fleet ? fleet_run(&o) : single_run(&o);
}
