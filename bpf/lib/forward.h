/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Where a packet goes once it may. */
#pragma once

#include "packet.h"

#define AF_INET 2
#define AF_INET6 10

/*
 * ttl_decrement - one hop less, in the header that stands at @offset.
 * IPv4: the header's own checksum keeps the sum of the packet (RFC 1624). IPv6 has none, so a device's sum changes with it.
 * Return: 0, or -1 when the header could not be written.
 */
static __always_inline int ttl_decrement(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 size = ETH_HLEN + sizeof(struct iphdr);
	struct iphdr *ip;
	__u32 check;

	if (packet->v6) {
		__u8 hop_limit = packet->ttl - 1;

		return bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct ipv6hdr, hop_limit), &hop_limit, 1, BPF_F_RECOMPUTE_CSUM) ? -1 : 0;
	}
	if ((void *)(long)skb->data + size > (void *)(long)skb->data_end && bpf_skb_pull_data(skb, size))
		return -1;
	ip = (void *)(long)skb->data + ETH_HLEN;
	if ((void *)(ip + 1) > (void *)(long)skb->data_end)
		return -1;
	check = ip->check + bpf_htons(0x0100);
	ip->check = check + (check >= 0xffff);
	ip->ttl--;
	return 0;
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
	struct ethhdr *eth;

	if (packet->ttl <= 1)
		return TC_ACT_OK;
	if (ttl_decrement(skb, packet))
		return -1;
	eth = (void *)(long)skb->data;
	if ((void *)(eth + 1) > (void *)(long)skb->data_end)
		return -1;
	__builtin_memcpy(eth->h_dest, mac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, host_mac, ETH_ALEN);
	skb->mark = 0;
	return bpf_redirect_peer(ifindex, 0);
}

/* wire_length - the longest IP packet that this one becomes on the wire: a segment, where the device cuts it; 0 = not known. */
static __always_inline __u32 wire_length(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 headers = packet->l4_offset - ETH_HLEN;
	__u8 offset;

	if (!skb->gso_size)
		return skb->len - ETH_HLEN;
	if (packet->tuple.protocol == IPPROTO_UDP)
		return headers + sizeof(struct udphdr) + skb->gso_size;
	if (packet->tuple.protocol != IPPROTO_TCP || load(skb, packet->l4_offset + 12, &offset, 1))
		return 0;
	return headers + (offset >> 4) * 4 + skb->gso_size;
}

/*
 * uplink_of - the uplink whose programs are attached and by which the kernel's own routes send this packet. What has no
 * plain route, must be fragmented or ends here is the stack's, which says so to the sender.
 * @more: bytes by which it will be longer; @next: gets who is next on the way; @mtu: gets the route's where the packet is longer, else 0
 * A global function, for the stack that the look-up takes. Return: the interface, or 0: the stack's.
 */
__noinline int uplink_for(struct __sk_buff *skb, const struct packet *packet, __u32 more, struct bpf_redir_neigh *next, __u32 *mtu)
{
	const struct tuple *tuple;
	struct bpf_fib_lookup fib = {};
	__u32 length;
	long found;

	if (!packet || !next || !mtu)
		return 0;
	*mtu = 0;
	tuple = &packet->tuple;
	length = wire_length(skb, packet);
	if (packet->ttl <= 1 || !length || length + more > 0xffff)
		return 0;
	length += more;
	fib.ifindex = skb->ifindex;
	fib.tot_len = length;
	fib.l4_protocol = tuple->protocol;
	fib.sport = tuple->source_port;
	fib.dport = tuple->destination_port;
	if (packet->v6) {
		fib.family = AF_INET6;
		__builtin_memcpy(fib.ipv6_src, &tuple->source, 16);
		__builtin_memcpy(fib.ipv6_dst, &tuple->destination, 16);
	} else {
		fib.family = AF_INET;
		fib.tos = packet->tos;
		fib.ipv4_src = tuple->source.low >> 32;
		fib.ipv4_dst = tuple->destination.low >> 32;
	}
	found = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	if (found == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		*mtu = fib.mtu_result;
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	if (!bpf_map_lookup_elem(&sn_uplink_01, &fib.ifindex))
		return 0;
	next->nh_family = fib.family;
	__builtin_memcpy(next->ipv6_nh, fib.ipv6_dst, 16);
	return fib.ifindex;
}

static __always_inline int uplink_of(struct __sk_buff *skb, const struct packet *packet, struct bpf_redir_neigh *next)
{
	__u32 mtu = 0;

	return uplink_for(skb, packet, 0, next, &mtu);
}

/* by_uplink - out of that interface, past the stack. Return: a verdict, or -1 when the header could not be written. */
static __always_inline int by_uplink(struct __sk_buff *skb, const struct packet *packet, __u32 ifindex, struct bpf_redir_neigh *next)
{
	if (ttl_decrement(skb, packet))
		return -1;
	skb->mark = MARK_JUDGED;
	return bpf_redirect_neigh(ifindex, next, sizeof(*next), 0);
}

/* to_uplink - out of an uplink, so that its replies pass the stack neither, or up the stack. Return: as above. */
static __always_inline int to_uplink(struct __sk_buff *skb, const struct packet *packet)
{
	struct bpf_redir_neigh next = {};
	__u32 ifindex = uplink_of(skb, packet, &next);

	return ifindex ? by_uplink(skb, packet, ifindex, &next) : TC_ACT_OK;
}
