#!/bin/sh
# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
#
# sources.mk lists what is in the tree, and the tree has what it lists.
. "$(dirname "$0")/common.sh"

FETTLE_TREE=$(pwd)
export FETTLE_TREE
exec "$here/../../scripts/list-sources" --check
