// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Collects expired conntrack entries, and translations of flows that have none, in place: a dump from user space could not compare before it deletes. */
#include "lib/nat.h"

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

/*
 * Each half goes once the judged flow has no entry any more: both name the same one. The forward half of a source
 * translation holds it as its key, that of any other as its value; in an answer's half it is the other way round.
 */
SEC("iter/bpf_map_elem")
int collect_nat(struct bpf_iter__bpf_map_elem *ctx)
{
	struct ct_key key __attribute__((aligned(8)));
	struct nat_entry *entry = ctx->value;
	struct nat_key *half = ctx->key;
	struct ct_entry *flow;
	struct nat_key copy;
	struct tuple judged = {};
	__u32 now = bpf_ktime_get_ns() >> CT_CLOCK_SHIFT;

	if (!entry || !half || entry->made + NAT_GRACE > now)
		return 0;
	__builtin_memcpy(&copy, half, sizeof(copy));
	if (!(entry->flags & NAT_SOURCE) == !(entry->flags & NAT_FORWARD)) {
		__builtin_memcpy(&judged.source, copy.source, 16);
		__builtin_memcpy(&judged.destination, copy.destination, 16);
		judged.source_port = copy.source_port;
		judged.destination_port = copy.destination_port;
	} else {
		__builtin_memcpy(&judged.source, entry->source, 16);
		__builtin_memcpy(&judged.destination, entry->destination, 16);
		judged.source_port = entry->source_port;
		judged.destination_port = entry->destination_port;
	}
	judged.protocol = copy.protocol;
	ct_key_of(&judged, &key);
	flow = ct_lookup(&key);
	if (!flow || flow->expiry <= now)
		bpf_map_delete_elem(&sn_nat_01, &copy);
	return 0;
}
