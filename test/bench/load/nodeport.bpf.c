// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Frames for a node, and what becomes of them (test/bench/lib/turn.ts).
 *
 *   receive    live frames, as the node's driver has received them: to the program that is attached at XDP, or to the stack. Their pages
 *              come again with what the node made of them, so each frame is written whole. One flow after the other.
 *   count_off  native XDP at the far end of the wire: counts what the node sends and ends it, the same whatever made it; keeps as many as
 *              there are flows
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define FRAME 64
#define FLOWS 256

struct frame {
	__u64 words[FRAME / 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct frame);
	__uint(max_entries, FLOWS);
} to_send SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct frame);
	__uint(max_entries, FLOWS);
} came_back SEC(".maps");

/* 0: what is attached at XDP; empty: nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} attached SEC(".maps");

/* 0: sent, 1: came back. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 2);
} counts SEC(".maps");

SEC("xdp")
int receive(struct xdp_md *context)
{
	struct frame *frame = (void *)(long)context->data;
	__u32 which = 0, flow;
	__u64 *sent = bpf_map_lookup_elem(&counts, &which);
	struct frame *from;

	if (!sent || (void *)(frame + 1) > (void *)(long)context->data_end)
		return XDP_ABORTED;
	flow = (*sent)++ % FLOWS;
	from = bpf_map_lookup_elem(&to_send, &flow);
	if (!from)
		return XDP_ABORTED;
	*frame = *from;
	bpf_tail_call_static(context, &attached, 0);
	return XDP_PASS;
}

SEC("xdp")
int count_off(struct xdp_md *context)
{
	struct frame *frame = (void *)(long)context->data;
	__u32 which = 1, flow;
	__u64 *count = bpf_map_lookup_elem(&counts, &which);
	struct frame *to;

	/* The node's own discovery is shorter, or of another kind. */
	if (!count || (void *)(frame + 1) > (void *)(long)context->data_end || (__u16)(frame->words[1] >> 32) != 0x0008)
		return XDP_DROP;
	flow = (*count)++ % FLOWS;
	to = bpf_map_lookup_elem(&came_back, &flow);
	if (to)
		*to = *frame;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
