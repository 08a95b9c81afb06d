// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The floor of every veth datapath: rewrite the MACs, redirect to the peer,
 * judge nothing. Interface indexes and MACs are those of lib/cells.ts, which
 * makes them in a fresh namespace.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

static __always_inline int forward(struct __sk_buff *skb, __u8 last, __u32 ifindex)
{
	struct ethhdr *eth = (void *)(long)skb->data;

	if ((void *)(eth + 1) > (void *)(long)skb->data_end)
		return TC_ACT_SHOT;
	if (eth->h_proto != __builtin_bswap16(ETH_P_IP))
		return TC_ACT_OK;
	eth->h_dest[5] = last;
	return bpf_redirect_peer(ifindex, 0);
}

SEC("tc/va")
int from_client(struct __sk_buff *skb)
{
	return forward(skb, 0x0b, 3);
}

SEC("tc/vb")
int from_server(struct __sk_buff *skb)
{
	return forward(skb, 0x0a, 2);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
