#!/bin/sh
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
# Make ./configure from configure.ac. Needs autoconf, automake, libtool, pkg-config.
set -eu
cd "$(dirname "$0")"
exec autoreconf --install --force --warnings=all
