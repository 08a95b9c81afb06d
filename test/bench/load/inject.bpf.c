// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Hands injected frames to the stack as if a device had received them.
 *
 *   inject_same   each as it is: one flow
 *   inject_new    each with the next source port: 65,536 flows, so a new one wherever fewer are remembered
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_helpers.h>

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

	if ((void *)(frame + 1) > (void *)(long)context->data_end)
		return XDP_DROP;
	next++;
	frame->udp.source = __builtin_bswap16(next);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
