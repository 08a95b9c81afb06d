/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* ARP: a pod's whole world is behind its gateway, so whatever it asks for has the host side's MAC. */
#pragma once

#include "address.h"

#define ARP_REQUEST 1
#define ARP_REPLY 2

struct arp_ipv4 {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_size;
	__u8 protocol_size;
	__be16 operation;
	__u8 sender_mac[6];
	__u8 sender_ip[4];
	__u8 target_mac[6];
	__u8 target_ip[4];
};

/*
 * arp_from_pod - answers what the pod asks, on the spot; lets its own answers up to the node.
 * Probes and announcements (no sender, or the sender itself asked for) get no answer: it would claim the pod's address.
 */
static __always_inline int arp_from_pod(struct __sk_buff *skb)
{
	static const __u8 host_mac[6] = HOST_MAC;
	__u8 pod_mac[6], asked[4];
	__be32 sender, target;
	struct address address;
	struct party party;
	struct arp_ipv4 arp;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)) || arp.protocol != bpf_htons(ETH_P_IP))
		return TC_ACT_SHOT;
	__builtin_memcpy(&sender, arp.sender_ip, 4);
	__builtin_memcpy(&target, arp.target_ip, 4);
	if (arp.operation == bpf_htons(ARP_REPLY)) {
		address_from_v4(&address, sender);
		return endpoint_read(&address, &party) && party.ifindex == skb->ifindex ? TC_ACT_OK : TC_ACT_SHOT;
	}
	if (arp.operation != bpf_htons(ARP_REQUEST) || !sender || sender == target)
		return TC_ACT_SHOT;
	__builtin_memcpy(pod_mac, arp.sender_mac, 6);
	__builtin_memcpy(asked, arp.target_ip, 4);
	arp.operation = bpf_htons(ARP_REPLY);
	__builtin_memcpy(arp.target_mac, pod_mac, 6);
	__builtin_memcpy(arp.target_ip, arp.sender_ip, 4);
	__builtin_memcpy(arp.sender_mac, host_mac, 6);
	__builtin_memcpy(arp.sender_ip, asked, 4);
	if (bpf_skb_store_bytes(skb, ETH_HLEN, &arp, sizeof(arp), 0) ||
	    bpf_skb_store_bytes(skb, 0, pod_mac, 6, 0) ||
	    bpf_skb_store_bytes(skb, 6, host_mac, 6, 0))
		return TC_ACT_SHOT;
	return bpf_redirect_peer(skb->ifindex, 0);
}
