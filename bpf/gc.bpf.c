// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Collects expired conntrack entries in place: a dump from user space could not compare before it deletes. */
#include "lib/conntrack.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The context of a map element iterator: the kernel's layout, declared here because the uapi does not. */
struct bpf_iter_meta;
struct bpf_map;
struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
} __attribute__((preserve_access_index));

static __always_inline int collect(struct bpf_iter__bpf_map_elem *ctx, void *map)
{
	struct ct_entry *entry = ctx->value;
	struct ct_key *key = ctx->key;
	struct ct_key copy;

	if (!entry || !key || entry->expiry > (__u32)(bpf_ktime_get_ns() >> CT_CLOCK_SHIFT))
		return 0;
	__builtin_memcpy(&copy, key, sizeof(copy));
	bpf_map_delete_elem(map, &copy);
	return 0;
}

SEC("iter/bpf_map_elem")
int collect_tcp(struct bpf_iter__bpf_map_elem *ctx)
{
	return collect(ctx, &sn_cttcp_01);
}

SEC("iter/bpf_map_elem")
int collect_any(struct bpf_iter__bpf_map_elem *ctx)
{
	return collect(ctx, &sn_ctany_01);
}
