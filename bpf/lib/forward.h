/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Where a packet goes once it may. */
#pragma once

#include "packet.h"

/* The IPv4 header checksum after the TTL went down by one (RFC 1624). */
static __always_inline void ttl_decrement(struct iphdr *ip)
{
	__u32 check = ip->check + bpf_htons(0x0100);

	ip->check = check + (check >= 0xffff);
	ip->ttl--;
}

/*
 * to_local - hands the packet to a pod on this node, past the stack.
 * @ifindex: host side of the pod's veth; @mac: the pod's own
 *
 * The mark is cleared: it would leak into the pod. A packet whose TTL ends here
 * goes to the stack, which says so to the sender. Return: a verdict, or -1 when
 * the header could not be written.
 */
static __always_inline int to_local(struct __sk_buff *skb, const struct packet *packet, __u32 ifindex, const __u8 *mac)
{
	static const __u8 host_mac[6] = HOST_MAC;
	__u32 size = ETH_HLEN + (packet->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	struct ethhdr *eth;

	if (packet->ttl_expires)
		return TC_ACT_OK;
	if ((void *)(long)skb->data + size > (void *)(long)skb->data_end && bpf_skb_pull_data(skb, size))
		return -1;
	eth = (void *)(long)skb->data;
	if (packet->v6) {
		struct ipv6hdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > (void *)(long)skb->data_end)
			return -1;
		ip->hop_limit--;
	} else {
		struct iphdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > (void *)(long)skb->data_end)
			return -1;
		ttl_decrement(ip);
	}
	__builtin_memcpy(eth->h_dest, mac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, host_mac, ETH_ALEN);
	skb->mark = 0;
	return bpf_redirect_peer(ifindex, 0);
}
