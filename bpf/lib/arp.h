/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* ARP: the program answers for the gateway; nobody else is asked or told. */
#pragma once



#include "common.h"

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

/* arp_from_pod - answers a request for the gateway on the interface it came from; swallows everything else. */
static __always_inline int arp_from_pod(struct __sk_buff *skb)
{
	static const __u8 host_mac[6] = HOST_MAC;
	__u32 gateway = GATEWAY_V4_BE, asked;
	struct arp_ipv4 arp;
	__u8 pod_mac[6], pod_ip[4];

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)))
		return TC_ACT_SHOT;
	__builtin_memcpy(&asked, arp.target_ip, 4);
	if (arp.operation != bpf_htons(ARP_REQUEST) || arp.protocol != bpf_htons(ETH_P_IP) || asked != gateway)
		return TC_ACT_SHOT;
	__builtin_memcpy(pod_mac, arp.sender_mac, 6);
	__builtin_memcpy(pod_ip, arp.sender_ip, 4);
	arp.operation = bpf_htons(ARP_REPLY);
	__builtin_memcpy(arp.sender_mac, host_mac, 6);
	__builtin_memcpy(arp.sender_ip, &gateway, 4);
	__builtin_memcpy(arp.target_mac, pod_mac, 6);
	__builtin_memcpy(arp.target_ip, pod_ip, 4);
	if (bpf_skb_store_bytes(skb, ETH_HLEN, &arp, sizeof(arp), 0) ||
	    bpf_skb_store_bytes(skb, 0, pod_mac, 6, 0) ||
	    bpf_skb_store_bytes(skb, 6, host_mac, 6, 0))
		return TC_ACT_SHOT;
	return bpf_redirect(skb->ifindex, 0);
}
