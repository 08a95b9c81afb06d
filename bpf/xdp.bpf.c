// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Services from outside, at the driver: what goes through this node from a client to a backend elsewhere, or back, is turned round
 * before the stack has a buffer for it.
 *
 *   netdev_early   uplink, XDP: carries packets of flows that tc has judged and translated, as tc would
 *
 * It decides nothing. Everything that it goes by was written by the tc programs, it is read under the verdict epoch, and what is not
 * wholly there, would change there or needs an opinion goes on to them: XDP_PASS. So does a packet now and then of each flow, for
 * entries and neighbours to live. What is attached is the stub, which calls slot 0 of sn_xdp_01; an empty slot passes.
 */
#include "lib/sample.h"
#include "lib/through.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* An entry whose lifetime was written so long ago is tc's to write again: 4 s. */
#define HEARTBEAT 4

static __always_inline bool mac_equal(const __u8 *a, const __u8 *b)
{
	return !((*(const __u32 *)a ^ *(const __u32 *)b) | (*(const __u16 *)(a + 4) ^ *(const __u16 *)(b + 4)));
}

/* carry - Return: XDP_TX, or XDP_PASS with the packet as it was. */
static __always_inline int carry(struct xdp_md *ctx, const bool v6)
{
	struct bpf_fib_lookup fib = { .ifindex = ctx->ingress_ifindex };
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	void *ip = eth + 1;
	struct early early = {};
	struct nat_entry to;
	__u32 expiry, age;
	__u16 *check;

	check = through_read(ip, end, &early, v6);
	if (!check || early.length > end - ip || !through_find(&early, &to, &expiry, &age, v6) || age >= HEARTBEAT)
		return XDP_PASS;
	/* Where the routes lead elsewhere, or the neighbour is not known, or the packet is too long for its way: tc's. */
	if (through_route(ctx, &early, &to, &fib, v6) != BPF_FIB_LKUP_RET_SUCCESS || fib.ifindex != ctx->ingress_ifindex || !mac_equal(eth->h_dest, fib.smac))
		return XDP_PASS;
	through_write(ip, check, &early, &to, v6);
	__builtin_memcpy(eth->h_dest, fib.dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, fib.smac, ETH_ALEN);
	count(REASON_NONE, DIRECTION_EARLY, end - (void *)eth);
	return XDP_TX;
}

SEC("xdp")
int netdev_early(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return carry(ctx, false);
	return eth->h_proto == bpf_htons(ETH_P_IPV6) ? carry(ctx, true) : XDP_PASS;
}

SEC("xdp")
int stub_netdev_early(struct xdp_md *ctx)
{
	bpf_tail_call_static(ctx, &sn_xdp_01, 0);
	return XDP_PASS;
}
