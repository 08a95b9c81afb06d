// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The pod program on ever other flows, for benchmarks: one test run repeats one
 * packet, so the wrapper moves its ports on before each. Never attached, never shipped.
 */
#include "../pod.bpf.c"

/* Moves the packet to another flow, in an order that no cache foresees; -1 = no such packet. */
static __always_inline int next_flow(struct __sk_buff *skb, __u32 flows)
{
	struct {
		struct ethhdr eth;
		struct iphdr ip;
		__u32 ports;
	} __attribute__((packed)) *packet = (void *)(long)skb->data;

	if ((void *)(packet + 1) > (void *)(long)skb->data_end)
		return -1;
	packet->ip.ttl = 64;
	packet->ports = (packet->ports * 1664525 + 1013904223) & (flows - 1);
	return 0;
}

/* What the wrapper itself costs. */
SEC("tc")
int bench_nothing(struct __sk_buff *skb)
{
	return next_flow(skb, 1 << 18) ? TC_ACT_SHOT : TC_ACT_OK;
}

/* 262,144 flows in random order: established once each was met. */
SEC("tc")
int bench_established(struct __sk_buff *skb)
{
	return next_flow(skb, 1 << 18) ? TC_ACT_SHOT : handle(skb, true, false);
}

/* A new flow each time. */
SEC("tc")
int bench_new(struct __sk_buff *skb)
{
	return next_flow(skb, 1 << 31) ? TC_ACT_SHOT : handle(skb, true, false);
}
