/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* How much each frontend is used. */
#pragma once

#include "common.h"

/* count_flow - a backend was drawn for a new flow. The first makes the frontend's entry; user space takes it away with the frontend. */
static __noinline int count_flow(__u32 revnat)
{
	__u64 *flows = bpf_map_lookup_elem(&sn_flows_01, &revnat), first = 1;

	if (flows) {
		*flows += 1;
		return 0;
	}
	if (!bpf_map_update_elem(&sn_flows_01, &revnat, &first, BPF_NOEXIST))
		return 0;
	flows = bpf_map_lookup_elem(&sn_flows_01, &revnat);	/* another CPU made it meanwhile, or there is no room */
	if (flows)
		*flows += 1;
	return 0;
}
