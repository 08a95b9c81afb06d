/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Frontends: what clients use of a Service. */
#pragma once

#include "echo.h"

static __always_inline bool frontend_read(const struct frontend_key *key, struct frontend *frontend)
{
	__u32 echo = echo_of(key, sizeof(*key));

#pragma unroll
	for (int try = 0; try < ECHO_TRIES; try++) {
		struct frontend *value = bpf_map_lookup_elem(&sn_frontend_01, key);
		__u64 word;

		if (!value)
			continue;
		word = READ_ONCE64(*value);
		barrier();
		frontend->count = value->count;
		frontend->revnat = value->revnat;
		barrier();
		if (READ_ONCE64(*value) == word && word_of(word, echo, &frontend->slots))
			return true;
	}
	return false;
}
