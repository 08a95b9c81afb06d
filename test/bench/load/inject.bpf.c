// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Hands injected frames to the stack as if a device had received them.
 *
 *   inject_same   each as it is: one flow
 *   inject_new    each from another of the peers, with the next source port: a flow that nobody remembers
 *
 * Peers are PEERS addresses from PEER_FIRST on (test/bench/lib/inject.ts).
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PEERS 20000
#define PEER_FIRST 0xac100000	/* 172.16.0.0 */
#define PEER_STRIDE 7919	/* prime: no cache foresees the next */

static __u32 next;

SEC("xdp")
int inject_same(struct xdp_md *context)
{
	return XDP_PASS;
}

SEC("xdp")
int inject_new(struct xdp_md *context)
{
	struct {
		struct ethhdr eth;
		struct iphdr ip;
		struct udphdr udp;
	} __attribute__((packed)) *frame = (void *)(long)context->data;
	__u16 *word;
	__u32 sum = 0;

	if ((void *)(frame + 1) > (void *)(long)context->data_end)
		return XDP_DROP;
	next++;
	frame->udp.source = bpf_htons(next);
	frame->ip.saddr = bpf_htonl(PEER_FIRST + next * PEER_STRIDE % PEERS);
	frame->ip.check = 0;
	word = (void *)&frame->ip;
#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	frame->ip.check = ~(sum + (sum >> 16));
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
