// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* What somebody else might attach: it says OK to everything, and at TCX that is the last word; at XDP nobody else fits beside it. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("xdp")
int foreign_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("tc")
int foreign_ok(struct __sk_buff *skb)
{
	return TC_ACT_OK;
}
