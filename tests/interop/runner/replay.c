/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scenarios.h"

const recording recordings[] = {
    {NULL, NULL, NULL},
};
