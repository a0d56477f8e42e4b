dnl SPDX-License-Identifier: ISC
dnl SPDX-FileCopyrightText: The Fettle authors

dnl Tools of make check alone: a check whose tool is missing is skipped, and says so.
AC_DEFUN([FETTLE_TOOLS], [
  AC_CHECK_PROGS([CLANG_FORMAT], [clang-format clang-format-14])
  AC_CHECK_PROGS([CTAGS], [ctags-universal ctags])
])
