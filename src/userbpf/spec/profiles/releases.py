"""In which release what came: one line a fact, "name release commit of Linux".

Written by tools/gen_releases.py from ebpf-docs (https://github.com/isovalent/ebpf-docs, data/*.yaml at 18ec5e93ea4b),
which is under the BSD 2-Clause licence, Copyright (c) 2023 The eBPF-Docs Authors. Corrections go into `corrections.py`.
"""

from __future__ import annotations

from typing import Final

# program types
PROG_TYPES: Final = """
SOCKET_FILTER 3.19 ddd872bc3098
KPROBE 4.1 2541517c32be
SCHED_CLS 4.1 96be4325f443
SCHED_ACT 4.1 94caee8c312d
TRACEPOINT 4.7 98b5c2c65c29
XDP 4.8 6a773a15a1e8
PERF_EVENT 4.9 0515e5999a46
CGROUP_SKB 4.10 0e33661de493
CGROUP_SOCK 4.10 610236587600
LWT_IN 4.10 3a0af8fd61f9
LWT_OUT 4.10 3a0af8fd61f9
LWT_XMIT 4.10 3a0af8fd61f9
SOCK_OPS 4.13 40304b2a1567
SK_SKB 4.14 b005fd189cec
CGROUP_DEVICE 4.15 ebc614f68736
SK_MSG 4.17 4f738adba30a
RAW_TRACEPOINT 4.17 c4f6699dfcb8
CGROUP_SOCK_ADDR 4.17 4fbac77d2d09
LWT_SEG6LOCAL 4.18 004d4b274e2a
LIRC_MODE2 4.18 f4364dcfc86d
SK_REUSEPORT 4.19 2dbb9b9e6df6
FLOW_DISSECTOR 4.20 d58e468b1112
CGROUP_SYSCTL 5.2 7b146cebe30c
RAW_TRACEPOINT_WRITABLE 5.2 9df1c28bb752
CGROUP_SOCKOPT 5.3 0d01da6afc54
TRACING 5.5 f1b9509c2fb0
STRUCT_OPS 5.6 27ae7997a661
EXT 5.6 be8704ff07d2
LSM 5.7 fc611f47f218
SK_LOOKUP 5.9 e9ddbb7707ff
SYSCALL 5.14 79a7f8bdb159
NETFILTER 6.4 84601d6ee68a
"""

# map types
MAP_TYPES: Final = """
HASH 3.19 0f8e4bd8a1fc
ARRAY 3.19 28fbcfa08d8e
PROG_ARRAY 4.2 04fd61ab36ec
PERF_EVENT_ARRAY 4.3 ea317b267e9d
PERCPU_HASH 4.6 824bd0ce6c7c
PERCPU_ARRAY 4.6 a10423b87a7e
STACK_TRACE 4.6 d5a3b1f69186
CGROUP_ARRAY 4.8 4ed8ec521ed5
LRU_HASH 4.10 29ba732acbee
LRU_PERCPU_HASH 4.10 8f8449384ec3
LPM_TRIE 4.11 b95a5c4db09b
ARRAY_OF_MAPS 4.12 56f668dfe00d
HASH_OF_MAPS 4.12 bcc6b1b7ebf8
DEVMAP 4.14 546ac1ffb70d
SOCKMAP 4.14 174a79ff9515
CPUMAP 4.15 6710e1126934
XSKMAP 4.18 fbfc504a24f5
SOCKHASH 4.18 81110384441a
CGROUP_STORAGE 4.19 de9cbbaadba5
REUSEPORT_SOCKARRAY 4.19 5dc4c4b7d4e8
PERCPU_CGROUP_STORAGE 4.20 b741f1630346
QUEUE 4.20 f1a2e44a3aec
STACK 4.20 f1a2e44a3aec
SK_STORAGE 5.2 6ac99e8f23d4
DEVMAP_HASH 5.4 6f9d451ab1a3
STRUCT_OPS 5.6 85d33df357b6
RINGBUF 5.8 457f44363a88
INODE_STORAGE 5.10 8ea636848aca
TASK_STORAGE 5.11 4cf1bc1f1045
BLOOM_FILTER 5.16 9330986c0300
USER_RINGBUF 6.1 583c1f420173
CGRP_STORAGE 6.2 c4bcfb38a95e
ARENA 6.9 317460317a02
INSN_ARRAY 6.19 b4ce5923e780
"""

# attach types
ATTACH_TYPES: Final = """
CGROUP_INET_INGRESS 4.10 0e33661de493
CGROUP_INET_EGRESS 4.10 0e33661de493
CGROUP_INET_SOCK_CREATE 4.10 610236587600
CGROUP_SOCK_OPS 4.13 40304b2a1567
SK_SKB_STREAM_PARSER 4.14 464bc0fd6273
SK_SKB_STREAM_VERDICT 4.14 464bc0fd6273
CGROUP_DEVICE 4.15 ebc614f68736
SK_MSG_VERDICT 4.17 4f738adba30a
CGROUP_INET4_BIND 4.17 4fbac77d2d09
CGROUP_INET6_BIND 4.17 4fbac77d2d09
CGROUP_INET4_CONNECT 4.17 d74bad4e74ee
CGROUP_INET6_CONNECT 4.17 d74bad4e74ee
CGROUP_INET4_POST_BIND 4.17 aac3fc320d94
CGROUP_INET6_POST_BIND 4.17 aac3fc320d94
CGROUP_UDP4_SENDMSG 4.18 1cedee13d25a
CGROUP_UDP6_SENDMSG 4.18 1cedee13d25a
LIRC_MODE2 4.18 f4364dcfc86d
FLOW_DISSECTOR 4.20 d58e468b1112
CGROUP_SYSCTL 5.2 7b146cebe30c
CGROUP_UDP4_RECVMSG 5.2 983695fa6765
CGROUP_UDP6_RECVMSG 5.2 983695fa6765
CGROUP_GETSOCKOPT 5.3 0d01da6afc54
CGROUP_SETSOCKOPT 5.3 0d01da6afc54
TRACE_RAW_TP 5.5 f1b9509c2fb0
TRACE_FENTRY 5.5 fec56f5890d9
TRACE_FEXIT 5.5 fec56f5890d9
MODIFY_RETURN 5.7 ae24082331d9
LSM_MAC 5.7 fc611f47f218
TRACE_ITER 5.8 15d83c4d7cef
CGROUP_INET4_GETPEERNAME 5.8 1b66d253610c
CGROUP_INET6_GETPEERNAME 5.8 1b66d253610c
CGROUP_INET4_GETSOCKNAME 5.8 1b66d253610c
CGROUP_INET6_GETSOCKNAME 5.8 1b66d253610c
XDP_DEVMAP 5.8 fbee97feed9b
CGROUP_INET_SOCK_RELEASE 5.9 f5836749c9c0
XDP_CPUMAP 5.9 9216477449f3
SK_LOOKUP 5.9 e9ddbb7707ff
XDP 5.9 aa8d3a716b59
SK_SKB_VERDICT 5.13 a7ba4558e69a
SK_REUSEPORT_SELECT 5.14 d5e4ddaeb6ab
SK_REUSEPORT_SELECT_OR_MIGRATE 5.14 d5e4ddaeb6ab
PERF_EVENT 5.15 b89fbfbb854c
TRACE_KPROBE_MULTI 5.18 0dcac2725406
LSM_CGROUP 6.0 69fd337a975c
TCX_INGRESS 6.6 e420bed02507
TCX_EGRESS 6.6 e420bed02507
NETKIT_PRIMARY 6.7 35dfaad7188c
NETKIT_PEER 6.7 35dfaad7188c
TRACE_KPROBE_SESSION 6.10 535a3692ba72
"""

# commands of bpf(2)
COMMANDS: Final = """
MAP_CREATE 3.18 99c55f7d47c0
MAP_LOOKUP_ELEM 3.18 db20fd2b0108
MAP_UPDATE_ELEM 3.18 db20fd2b0108
MAP_DELETE_ELEM 3.18 db20fd2b0108
MAP_GET_NEXT_KEY 3.18 db20fd2b0108
PROG_LOAD 3.18 09756af46893
OBJ_PIN 4.4 b2197755b263
OBJ_GET 4.4 b2197755b263
PROG_ATTACH 4.10 f4324551489e
PROG_DETACH 4.10 f4324551489e
PROG_TEST_RUN 4.12 1cf1cae963c2
PROG_GET_NEXT_ID 4.13 34ad5580f8f9
MAP_GET_NEXT_ID 4.13 34ad5580f8f9
PROG_GET_FD_BY_ID 4.13 b16d9aa4c2b9
MAP_GET_FD_BY_ID 4.13 bd5f5f4ecb78
OBJ_GET_INFO_BY_FD 4.13 1e2709769086
PROG_QUERY 4.15 468e2f64d220
RAW_TRACEPOINT_OPEN 4.17 c4f6699dfcb8
BTF_LOAD 4.18 f56a653c1fd1
BTF_GET_FD_BY_ID 4.18 78958fca7ead
TASK_FD_QUERY 4.18 41bdc4b40ed6
MAP_LOOKUP_AND_DELETE_ELEM 4.20 bd513cd08f10
MAP_FREEZE 5.2 87df15de441b
BTF_GET_NEXT_ID 5.4 1b9ed84ecf26
MAP_LOOKUP_BATCH 5.6 cb4d03ab499d
MAP_LOOKUP_AND_DELETE_BATCH 5.6 057996380a42
MAP_UPDATE_BATCH 5.6 aa2e93b8e58e
MAP_DELETE_BATCH 5.6 aa2e93b8e58e
LINK_CREATE 5.7 af6eea57437a
LINK_UPDATE 5.7 0c991ebc8c69
LINK_GET_FD_BY_ID 5.8 2d602c8cf40d
LINK_GET_NEXT_ID 5.8 2d602c8cf40d
ENABLE_STATS 5.8 d46edd671a14
ITER_CREATE 5.8 ac51d99bf81c
LINK_DETACH 5.9 73b11c2ab072
PROG_BIND_MAP 5.10 ef15314aa5de
TOKEN_CREATE 6.9 35f96de04127
"""

# flags of loading, maps and helpers
FLAGS: Final = """
BPF_F_ALLOW_OVERRIDE 4.10 7f677633379b
BPF_F_ALLOW_MULTI 4.15 324bda9e6c5a
BPF_F_REPLACE 5.6 7dd68b3279f1
BPF_F_STRICT_ALIGNMENT 4.12 e07b98d9bffe
BPF_F_ANY_ALIGNMENT 5.0 e9ee9efc0d17
BPF_F_TEST_RND_HI32 5.3 c240eff63a1c
BPF_F_TEST_STATE_FREQ 5.4 10d274e880eb
BPF_F_SLEEPABLE 5.10 1e6c62a88215
BPF_F_XDP_HAS_FRAGS 5.18 c2f2cdbeffda
BPF_F_KPROBE_MULTI_RETURN 5.18 0dcac2725406
BPF_F_LOCK 5.1 96049f3afd50
BPF_F_NO_PREALLOC 4.6 6c9059817432
BPF_F_NO_COMMON_LRU 4.10 29ba732acbee
BPF_F_NUMA_NODE 4.14 96eabe7a40aa
BPF_F_RDONLY 4.15 6e71b04a8224
BPF_F_WRONLY 4.15 6e71b04a8224
BPF_F_STACK_BUILD_ID 4.17 615755a77b24
BPF_F_ZERO_SEED 5.0 96b3b6c9091d
BPF_F_RDONLY_PROG 5.2 591fe9888d78
BPF_F_WRONLY_PROG 5.2 591fe9888d78
BPF_F_CLONE 5.4 8f51dfc73bf1
BPF_F_MMAPABLE 5.5 fc9702273e2e
BPF_F_PRESERVE_ELEMS 5.10 792caccc4526
BPF_F_INNER_MAP 5.10 4a8f87e60f6d
BPF_F_QUERY_EFFECTIVE 4.15 468e2f64d220
BPF_F_TEST_RUN_ON_CPU 5.10 1b4d60ec162f
BPF_F_TEST_XDP_LIVE_FRAMES 5.18 b530e9e1063e
BPF_F_RECOMPUTE_CSUM 4.5 781c53bc5d56
BPF_F_INVALIDATE_HASH 4.6 8afd54c87ad7
BPF_F_HDR_FIELD_MASK 4.5 781c53bc5d56
BPF_F_PSEUDO_HDR 4.5 781c53bc5d56
BPF_F_MARK_MANGLED_0 4.6 2f72959a9c12
BPF_F_MARK_ENFORCE 4.11 d1b662adcdb8
BPF_F_INGRESS 4.5 781c53bc5d56
BPF_F_TUNINFO_IPV6 4.5 c6c33454072f
BPF_F_SKIP_FIELD_MASK 4.6 d5a3b1f69186
BPF_F_USER_STACK 4.6 d5a3b1f69186
BPF_F_FAST_STACK_CMP 4.6 d5a3b1f69186
BPF_F_REUSE_STACKID 4.6 d5a3b1f69186
BPF_F_USER_BUILD_ID 4.18 c195651e565a
BPF_F_ZERO_CSUM_TX 4.5 2da897e51d7f
BPF_F_DONT_FRAGMENT 4.6 2208087061c4
BPF_F_SEQ_NUMBER 4.17 77a5196a804e
BPF_F_TUNINFO_FLAGS 6.1 44c51472bef8
BPF_F_INDEX_MASK 4.7 1e33759c788c
BPF_F_CURRENT_CPU 4.7 1e33759c788c
BPF_F_CTXLEN_MASK 4.8 555c8a8623a3
BPF_F_CURRENT_NETNS 4.20 f71c6143c203
BPF_F_ADJ_ROOM_FIXED_GSO 5.2 2278f6cc151a
BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 5.2 868d523535c2
BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 5.2 868d523535c2
BPF_F_ADJ_ROOM_ENCAP_L4_GRE 5.2 868d523535c2
BPF_F_ADJ_ROOM_ENCAP_L4_UDP 5.2 868d523535c2
BPF_F_ADJ_ROOM_NO_CSUM_RESET 5.8 836e66c218f3
BPF_F_ADJ_ROOM_ENCAP_L2_ETH 5.13 d01b59c9ae94
BPF_F_SYSCTL_BASE_NAME 5.2 808649fb787d
BPF_LOCAL_STORAGE_GET_F_CREATE 5.10 f836a56e84ff
BPF_SK_STORAGE_GET_F_CREATE 5.2 6ac99e8f23d4
BPF_F_GET_BRANCH_RECORDS_SIZE 5.7 fff7b64355ea
BPF_F_BPRM_SECUREEXEC 5.11 3f6719c7b62f
BPF_F_BROADCAST 5.14 e624d4ed4aa8
BPF_F_EXCLUDE_INGRESS 5.14 e624d4ed4aa8
BPF_SK_LOOKUP_F_REPLACE 5.9 e9ddbb7707ff
BPF_SK_LOOKUP_F_NO_REUSEPORT 5.9 e9ddbb7707ff
BPF_SOCK_OPS_RTO_CB_FLAG 4.16 f89013f66d0f
BPF_SOCK_OPS_RETRANS_CB_FLAG 4.16 a31ad29e6a30
BPF_SOCK_OPS_STATE_CB_FLAG 4.16 d44874910a26
BPF_SOCK_OPS_RTT_CB_FLAG 5.3 23729ff23186
BPF_SOCK_OPS_PARSE_ALL_HDR_OPT_CB_FLAG 5.10 00d211a4ea6f
BPF_SOCK_OPS_PARSE_UNKNOWN_HDR_OPT_CB_FLAG 5.10 00d211a4ea6f
BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG 5.10 331fca4315ef
BPF_SOCK_OPS_ALL_CB_FLAGS 4.16 b13d88072172
BTF_F_COMPACT 5.10 c4d0bfb45068
BTF_F_NONAME 5.10 c4d0bfb45068
BTF_F_PTR_RAW 5.10 c4d0bfb45068
BTF_F_ZERO 5.10 c4d0bfb45068
BPF_F_LINK 6.4 68b04864ca42
BPF_F_PATH_FD 6.5 cb8edce28073
BPF_F_VTYPE_BTF_OBJ_FD 6.9 fcc2c1fb0651
BPF_F_TOKEN_FD 6.9 a177fc2bf6fd
BPF_F_SEGV_ON_FAULT 6.9 317460317a02
BPF_F_NO_USER_CONV 6.9 317460317a02
"""

# helpers
HELPERS: Final = """
map_lookup_elem 3.18 0a542a86d73b
map_update_elem 3.18 0a542a86d73b
map_delete_elem 3.19 d0003ec01c66
probe_read 4.1 2541517c32be
ktime_get_ns 4.1 d9847d310ab4
trace_printk 4.1 9c959c863f82
get_prandom_u32 4.17 df4a37d8b53f
get_smp_processor_id 4.1 c04167ce2ca0
skb_store_bytes 4.1 608cd71a9c7c
l3_csum_replace 4.1 91bc4822c3d6
l4_csum_replace 4.1 91bc4822c3d6
tail_call 4.2 04fd61ab36ec
clone_redirect 4.2 3896d655f4d4
get_current_pid_tgid 4.2 ffeedafbf023
get_current_uid_gid 4.2 ffeedafbf023
get_current_comm 4.2 ffeedafbf023
get_cgroup_classid 4.3 8d20aabe1c76
skb_vlan_push 4.3 4e10df9a60d9
skb_vlan_pop 4.3 4e10df9a60d9
skb_get_tunnel_key 4.3 d3aa45ce6b94
skb_set_tunnel_key 4.3 d3aa45ce6b94
perf_event_read 4.3 35578d798400
redirect 4.4 27b29f63058d
get_route_realm 4.4 c46646d0484f
perf_event_output 4.4 a43eec304259
skb_load_bytes 4.5 05c74e5e53f6
get_stackid 4.6 d5a3b1f69186
csum_diff 4.6 7d672345ed29
skb_get_tunnel_opt 4.6 14ca0751c96f
skb_set_tunnel_opt 4.6 14ca0751c96f
skb_change_proto 4.8 6578171a7ff0
skb_change_type 4.8 d2485c4242a8
skb_under_cgroup 4.8 747ea55e4f78
get_hash_recalc 4.8 13c5c240f789
get_current_task 4.8 606274c5abd8
probe_write_user 4.8 96ae52279594
current_task_under_cgroup 4.9 60d20f9195b2
skb_change_tail 4.9 5293efe62df8
skb_pull_data 4.9 36bbef52c7eb
csum_update 4.9 36bbef52c7eb
set_hash_invalid 4.9 7a4b28c6cc9f
get_numa_node_id 4.10 2d0e30c30f84
skb_change_head 4.10 3a0af8fd61f9
xdp_adjust_head 4.10 17bedab27231
probe_read_str 4.11 a5e8c07059d0
get_socket_cookie 4.12 91b8270f2a4d
get_socket_uid 4.12 6acc5c291068
set_hash 4.13 ded092cd73c2
setsockopt 4.13 8c4b4c7e9ff0
skb_adjust_room 4.13 2be7e212d541
redirect_map 4.14 546ac1ffb70d
sk_redirect_map 4.14 174a79ff9515
sock_map_update 4.14 174a79ff9515
xdp_adjust_meta 4.15 de8f3a83b0a0
perf_event_read_value 4.15 908432ca84fc
perf_prog_read_value 4.15 4bebdc7a85aa
getsockopt 4.15 cd86d1fd2102
override_return 4.16 9802d86585db
sock_ops_cb_flags_set 4.16 b13d88072172
msg_redirect_map 4.17 4f738adba30a
msg_apply_bytes 4.17 2a100317c9eb
msg_cork_bytes 4.17 91843d540a13
msg_pull_data 4.17 015632bb30da
bind 4.17 d74bad4e74ee
xdp_adjust_tail 4.18 b32cc5b9a346
skb_get_xfrm_state 4.18 12bed760a78d
get_stack 4.18 c195651e565a
skb_load_bytes_relative 4.18 4e1ec56cdc59
fib_lookup 4.18 87f5fc7e48dd
sock_hash_update 4.18 81110384441a
msg_redirect_hash 4.18 81110384441a
sk_redirect_hash 4.18 81110384441a
lwt_push_encap 4.18 fe94cc290f53
lwt_seg6_store_bytes 4.18 fe94cc290f53
lwt_seg6_adjust_srh 4.18 fe94cc290f53
lwt_seg6_action 4.18 fe94cc290f53
rc_repeat 4.18 f4364dcfc86d
rc_keydown 4.18 f4364dcfc86d
skb_cgroup_id 4.18 cb20b08ead40
get_current_cgroup_id 4.18 bf6fa2c893c5
get_local_storage 4.19 cd3394317653
sk_select_reuseport 4.19 2dbb9b9e6df6
skb_ancestor_cgroup_id 4.19 7723628101aa
sk_lookup_tcp 4.20 6acc9b432e67
sk_lookup_udp 4.20 6acc9b432e67
sk_release 4.20 6acc9b432e67
map_push_elem 4.20 f1a2e44a3aec
map_pop_elem 4.20 f1a2e44a3aec
map_peek_elem 4.20 f1a2e44a3aec
msg_push_data 4.20 6fff607e2f14
msg_pop_data 5.0 7246d8ed4dcc
rc_pointer_rel 5.0 01d3240a04f4
spin_lock 5.1 d83525ca62cf
spin_unlock 5.1 d83525ca62cf
sk_fullsock 5.1 46f8bc92758c
tcp_sock 5.1 655a51e536c0
skb_ecn_set_ce 5.1 f7c917ba11a6
get_listener_sock 5.1 dbafd7ddd623
skc_lookup_tcp 5.2 edbf8c01de5a
tcp_check_syncookie 5.2 399040847084
sysctl_get_name 5.2 808649fb787d
sysctl_get_current_value 5.2 1d11b3016cec
sysctl_get_new_value 5.2 4e63acdff864
sysctl_set_new_value 5.2 4e63acdff864
strtol 5.2 d7a4cb9b6705
strtoul 5.2 d7a4cb9b6705
sk_storage_get 5.2 6ac99e8f23d4
sk_storage_delete 5.2 6ac99e8f23d4
send_signal 5.3 8b401f9ed244
tcp_gen_syncookie 5.4 70d66244317e
skb_output 5.5 a7658e1a4164
probe_read_user 5.5 6ae08ae3dea2
probe_read_kernel 5.5 6ae08ae3dea2
probe_read_user_str 5.5 6ae08ae3dea2
probe_read_kernel_str 5.5 6ae08ae3dea2
tcp_send_ack 5.6 206057fe020a
send_signal_thread 5.6 8482941f0906
jiffies64 5.6 5576b991e9c1
read_branch_records 5.7 fff7b64355ea
get_ns_current_pid_tgid 5.7 b4490c5c4e02
xdp_output 5.7 d831ee84bfc9
get_netns_cookie 5.7 f318903c0bf4
get_current_ancestor_cgroup_id 5.7 0f09abd105da
sk_assign 5.7 cf7fbe660f2d
ktime_get_boot_ns 5.8 71d19214776e
seq_printf 5.8 492e639f0c22
seq_write 5.8 492e639f0c22
sk_cgroup_id 5.8 f307fa2cb4c9
sk_ancestor_cgroup_id 5.8 f307fa2cb4c9
ringbuf_output 5.8 457f44363a88
ringbuf_reserve 5.8 457f44363a88
ringbuf_submit 5.8 457f44363a88
ringbuf_discard 5.8 457f44363a88
ringbuf_query 5.8 457f44363a88
csum_level 5.8 7cdec54f9713
skc_to_tcp6_sock 5.9 af7ec1383361
skc_to_tcp_sock 5.9 478cfbdf5f13
skc_to_tcp_timewait_sock 5.9 478cfbdf5f13
skc_to_tcp_request_sock 5.9 478cfbdf5f13
skc_to_udp6_sock 5.9 0d4fad3e57df
get_task_stack 5.9 fa28dcb82a38
load_hdr_opt 5.10 0813a841566f
store_hdr_opt 5.10 0813a841566f
reserve_hdr_opt 5.10 0813a841566f
inode_storage_get 5.10 8ea636848aca
inode_storage_delete 5.10 8ea636848aca
d_path 5.10 6e22ab9da793
copy_from_user 5.10 1e6c62a88215
snprintf_btf 5.10 c4d0bfb45068
seq_printf_btf 5.10 eb411377aed9
skb_cgroup_classid 5.10 b426ce83baa7
redirect_neigh 5.10 b4ab31414970
per_cpu_ptr 5.10 eaa6bcb71ef6
this_cpu_ptr 5.10 63d9b80dcf2c
redirect_peer 5.10 9aa1206e8f48
task_storage_get 5.11 4cf1bc1f1045
task_storage_delete 5.11 4cf1bc1f1045
get_current_task_btf 5.11 3ca1032ab7ab
bprm_opts_set 5.11 3f6719c7b62f
ktime_get_coarse_ns 5.11 d05512618056
ima_inode_hash 5.11 27672f0d280a
sock_from_file 5.11 4f19cab76136
check_mtu 5.12 34b2021cc616
for_each_map_elem 5.13 69c087ba6225
snprintf 5.13 7b15523a989b
sys_bpf 5.14 79a7f8bdb159
btf_find_by_name_kind 5.14 3d78417b60fb
sys_close 5.14 3abea089246f
timer_init 5.15 b00628b1c7d5
timer_set_callback 5.15 b00628b1c7d5
timer_start 5.15 b00628b1c7d5
timer_cancel 5.15 b00628b1c7d5
get_func_ip 5.15 9b99edcae5c8
get_attach_cookie 5.15 82e6b1eee6a8
task_pt_regs 5.15 dd6e10fbd9fb
get_branch_snapshot 5.16 856c02dbce4f
trace_vprintk 5.16 10aceb629e19
skc_to_unix_sock 5.16 9eeb3aa33ae0
kallsyms_lookup_name 5.16 d6aef08a872b
find_vma 5.17 7c7e3d31e785
loop 5.17 e6f2dd0f8067
strncmp 5.17 c5fb19937455
get_func_arg 5.17 f92c1e183604
get_func_ret 5.17 f92c1e183604
get_func_arg_cnt 5.17 f92c1e183604
get_retval 5.18 b44123b4a3dc
set_retval 5.18 b44123b4a3dc
xdp_get_buff_len 5.18 0165cc817075
xdp_load_bytes 5.18 3f364222d032
xdp_store_bytes 5.18 3f364222d032
copy_from_user_task 5.18 376040e47334
skb_set_tstamp 5.18 9bb984f28d5b
ima_file_hash 5.18 174b16946e39
kptr_xchg 5.19 c0a5a21c25f3
map_lookup_percpu_elem 5.19 07343110b293
skc_to_mptcp_sock 5.19 3bc253c2e652
dynptr_from_mem 5.19 263ae152e962
ringbuf_reserve_dynptr 5.19 bc34dee65a65
ringbuf_submit_dynptr 5.19 bc34dee65a65
ringbuf_discard_dynptr 5.19 bc34dee65a65
dynptr_read 5.19 13bbbfbea759
dynptr_write 5.19 13bbbfbea759
dynptr_data 5.19 34d4ef5775f7
tcp_raw_gen_syncookie_ipv4 6.0 33bf9885040c
tcp_raw_gen_syncookie_ipv6 6.0 33bf9885040c
tcp_raw_check_syncookie_ipv4 6.0 33bf9885040c
tcp_raw_check_syncookie_ipv6 6.0 33bf9885040c
ktime_get_tai_ns 6.1 c8996c98f703
user_ringbuf_drain 6.1 205715673844
cgrp_storage_get 6.2 c4bcfb38a95e
cgrp_storage_delete 6.2 c4bcfb38a95e
"""

# helpers that a program type got later
HELPER_TYPES: Final = """
CGROUP_DEVICE get_current_ancestor_cgroup_id 6.4 c501bf55c88b
CGROUP_DEVICE get_current_pid_tgid 6.10 eb166e522c77
CGROUP_DEVICE get_ns_current_pid_tgid 6.10 eb166e522c77
CGROUP_SKB get_current_ancestor_cgroup_id 6.4 c501bf55c88b
CGROUP_SKB get_current_cgroup_id 6.4 c501bf55c88b
CGROUP_SKB get_current_pid_tgid 6.10 eb166e522c77
CGROUP_SKB get_netns_cookie 6.15 c221d3744ad3
CGROUP_SKB get_ns_current_pid_tgid 6.10 eb166e522c77
CGROUP_SOCK get_ns_current_pid_tgid 6.10 eb166e522c77
CGROUP_SOCKOPT get_current_ancestor_cgroup_id 6.4 c501bf55c88b
CGROUP_SOCKOPT get_current_pid_tgid 6.10 eb166e522c77
CGROUP_SOCKOPT get_ns_current_pid_tgid 6.10 eb166e522c77
CGROUP_SOCKOPT getsockopt 5.15 2c531639deb5
CGROUP_SOCKOPT setsockopt 5.15 2c531639deb5
CGROUP_SOCK_ADDR get_ns_current_pid_tgid 6.10 eb166e522c77
CGROUP_SOCK_ADDR getsockopt 5.8 beecf11bc218
CGROUP_SOCK_ADDR setsockopt 5.8 beecf11bc218
CGROUP_SYSCTL get_current_ancestor_cgroup_id 6.4 c501bf55c88b
CGROUP_SYSCTL get_current_pid_tgid 6.10 eb166e522c77
CGROUP_SYSCTL get_ns_current_pid_tgid 6.10 eb166e522c77
FLOW_DISSECTOR get_current_ancestor_cgroup_id 6.4 c501bf55c88b
FLOW_DISSECTOR get_current_cgroup_id 6.4 c501bf55c88b
FLOW_DISSECTOR get_current_pid_tgid 6.10 eb166e522c77
FLOW_DISSECTOR get_ns_current_pid_tgid 6.10 eb166e522c77
LSM get_attach_cookie 5.19 2fcc82411e74
LSM getsockopt 6.0 9113d7e48e91
LSM setsockopt 6.0 9113d7e48e91
LWT_IN get_current_ancestor_cgroup_id 6.4 c501bf55c88b
LWT_IN get_current_cgroup_id 6.4 c501bf55c88b
LWT_IN get_current_pid_tgid 6.10 eb166e522c77
LWT_IN get_ns_current_pid_tgid 6.10 eb166e522c77
LWT_OUT get_current_ancestor_cgroup_id 6.4 c501bf55c88b
LWT_OUT get_current_cgroup_id 6.4 c501bf55c88b
LWT_OUT get_current_pid_tgid 6.10 eb166e522c77
LWT_OUT get_ns_current_pid_tgid 6.10 eb166e522c77
LWT_SEG6LOCAL get_current_ancestor_cgroup_id 6.4 c501bf55c88b
LWT_SEG6LOCAL get_current_cgroup_id 6.4 c501bf55c88b
LWT_SEG6LOCAL get_current_pid_tgid 6.10 eb166e522c77
LWT_SEG6LOCAL get_ns_current_pid_tgid 6.10 eb166e522c77
LWT_XMIT get_current_ancestor_cgroup_id 6.4 c501bf55c88b
LWT_XMIT get_current_cgroup_id 6.4 c501bf55c88b
LWT_XMIT get_current_pid_tgid 6.10 eb166e522c77
LWT_XMIT get_ns_current_pid_tgid 6.10 eb166e522c77
NETFILTER get_current_ancestor_cgroup_id 6.4 c501bf55c88b
NETFILTER get_current_cgroup_id 6.4 c501bf55c88b
NETFILTER get_current_pid_tgid 6.10 eb166e522c77
NETFILTER get_ns_current_pid_tgid 6.10 eb166e522c77
SCHED_ACT get_current_ancestor_cgroup_id 6.4 c501bf55c88b
SCHED_ACT get_current_cgroup_id 6.4 c501bf55c88b
SCHED_ACT get_current_pid_tgid 6.10 eb166e522c77
SCHED_ACT get_netns_cookie 6.13 eb62f49de7ec
SCHED_ACT get_ns_current_pid_tgid 6.10 eb166e522c77
SCHED_ACT skb_change_head 5.8 6f3f65d80dac
SCHED_CLS get_current_ancestor_cgroup_id 6.4 c501bf55c88b
SCHED_CLS get_current_cgroup_id 6.4 c501bf55c88b
SCHED_CLS get_current_pid_tgid 6.10 eb166e522c77
SCHED_CLS get_netns_cookie 6.13 eb62f49de7ec
SCHED_CLS get_ns_current_pid_tgid 6.10 eb166e522c77
SCHED_CLS skb_change_head 5.8 6f3f65d80dac
SK_LOOKUP get_current_ancestor_cgroup_id 6.4 c501bf55c88b
SK_LOOKUP get_current_cgroup_id 6.4 c501bf55c88b
SK_LOOKUP get_current_pid_tgid 6.10 eb166e522c77
SK_LOOKUP get_ns_current_pid_tgid 6.10 eb166e522c77
SK_MSG get_ns_current_pid_tgid 6.10 eb166e522c77
SK_REUSEPORT get_current_ancestor_cgroup_id 6.4 c501bf55c88b
SK_REUSEPORT get_current_cgroup_id 6.4 c501bf55c88b
SK_REUSEPORT get_current_pid_tgid 6.10 eb166e522c77
SK_REUSEPORT get_ns_current_pid_tgid 6.10 eb166e522c77
SK_SKB get_current_ancestor_cgroup_id 6.4 c501bf55c88b
SK_SKB get_current_cgroup_id 6.4 c501bf55c88b
SK_SKB get_current_pid_tgid 6.10 eb166e522c77
SK_SKB get_ns_current_pid_tgid 6.10 eb166e522c77
SOCKET_FILTER get_current_ancestor_cgroup_id 6.4 c501bf55c88b
SOCKET_FILTER get_current_cgroup_id 6.4 c501bf55c88b
SOCKET_FILTER get_current_pid_tgid 6.10 eb166e522c77
SOCKET_FILTER get_netns_cookie 6.15 c221d3744ad3
SOCKET_FILTER get_ns_current_pid_tgid 6.10 eb166e522c77
SOCK_OPS get_current_ancestor_cgroup_id 6.4 c501bf55c88b
SOCK_OPS get_current_cgroup_id 6.4 c501bf55c88b
SOCK_OPS get_current_pid_tgid 6.10 eb166e522c77
SOCK_OPS get_ns_current_pid_tgid 6.10 eb166e522c77
STRUCT_OPS get_current_ancestor_cgroup_id 6.4 c501bf55c88b
STRUCT_OPS get_current_cgroup_id 6.4 c501bf55c88b
STRUCT_OPS get_current_pid_tgid 6.10 eb166e522c77
STRUCT_OPS get_ns_current_pid_tgid 6.10 eb166e522c77
TRACING get_attach_cookie 5.19 2fcc82411e74
TRACING sk_storage_delete 5.11 8e4597c627fb
TRACING sk_storage_get 5.11 8e4597c627fb
XDP get_current_ancestor_cgroup_id 6.4 c501bf55c88b
XDP get_current_cgroup_id 6.4 c501bf55c88b
XDP get_current_pid_tgid 6.10 eb166e522c77
XDP get_ns_current_pid_tgid 6.10 eb166e522c77
"""

# kernel functions
KFUNCS: Final = """
cgroup_rstat_updated 6.1 a319185be9f5
cgroup_rstat_flush 6.1 a319185be9f5
bpf_lookup_user_key 6.1 f3cf4134c5c6
bpf_lookup_system_key 6.1 f3cf4134c5c6
bpf_key_put 6.1 f3cf4134c5c6
bpf_verify_pkcs7_signature 6.1 865b0566d8f1
bpf_get_file_xattr 6.8 ac9c05e0e453
bpf_cpumask_create 6.3 516f4d3397c9
bpf_cpumask_release 6.3 516f4d3397c9
bpf_cpumask_acquire 6.3 516f4d3397c9
bpf_cpumask_first 6.3 516f4d3397c9
bpf_cpumask_first_zero 6.3 516f4d3397c9
bpf_cpumask_first_and 6.5 5ba3a7a851e3
bpf_cpumask_set_cpu 6.3 516f4d3397c9
bpf_cpumask_clear_cpu 6.3 516f4d3397c9
bpf_cpumask_test_cpu 6.3 516f4d3397c9
bpf_cpumask_test_and_set_cpu 6.3 516f4d3397c9
bpf_cpumask_test_and_clear_cpu 6.3 516f4d3397c9
bpf_cpumask_setall 6.3 516f4d3397c9
bpf_cpumask_clear 6.3 516f4d3397c9
bpf_cpumask_and 6.3 516f4d3397c9
bpf_cpumask_or 6.3 516f4d3397c9
bpf_cpumask_xor 6.3 516f4d3397c9
bpf_cpumask_equal 6.3 516f4d3397c9
bpf_cpumask_intersects 6.3 516f4d3397c9
bpf_cpumask_subset 6.3 516f4d3397c9
bpf_cpumask_empty 6.3 516f4d3397c9
bpf_cpumask_full 6.3 516f4d3397c9
bpf_cpumask_copy 6.3 516f4d3397c9
bpf_cpumask_any_distribute 6.5 f983be917332
bpf_cpumask_any_and_distribute 6.5 f983be917332
bpf_cpumask_weight 6.8 a6de18f310a5
crash_kexec 6.1 133790596406
bpf_obj_new_impl 6.2 958cf2e273f0
bpf_percpu_obj_new_impl 6.7 36d8bdf75a93
bpf_obj_drop_impl 6.2 ac9f06050a35
bpf_percpu_obj_drop_impl 6.7 36d8bdf75a93
bpf_refcount_acquire_impl 6.4 7c50b1cb76ac
bpf_list_push_front_impl 6.4 d2dcc67df910
bpf_list_push_back_impl 6.4 d2dcc67df910
bpf_list_pop_front 6.2 8cab76ec6349
bpf_list_pop_back 6.2 8cab76ec6349
bpf_task_acquire 6.2 3f00c5239344
bpf_task_release 6.2 3f00c5239344
bpf_rbtree_remove 6.3 bd1279ae8a69
bpf_rbtree_add_impl 6.4 d2dcc67df910
bpf_rbtree_first 6.3 bd1279ae8a69
bpf_cgroup_acquire 6.2 fda01efc6160
bpf_cgroup_release 6.2 fda01efc6160
bpf_cgroup_ancestor 6.2 5ca786707829
bpf_cgroup_from_id 6.4 332ea1f697be
bpf_task_under_cgroup 6.5 b5ad4cdc46c7
bpf_task_get_cgroup1 6.8 fe977716b40c
bpf_task_from_pid 6.2 3f0e6f2b41d3
bpf_throw 6.7 fd5d27b70188
bpf_cast_to_kern_ctx 6.2 fd264ca02094
bpf_rdonly_cast 6.2 a35b9af4ec2c
bpf_rcu_read_lock 6.2 9bb00b2895cb
bpf_rcu_read_unlock 6.2 9bb00b2895cb
bpf_dynptr_slice 6.4 b5964b968ac6
bpf_dynptr_slice_rdwr 6.4 b5964b968ac6
bpf_iter_num_new 6.4 06accc8779c1
bpf_iter_num_next 6.4 06accc8779c1
bpf_iter_num_destroy 6.4 06accc8779c1
bpf_iter_task_vma_new 6.7 4ac454682158
bpf_iter_task_vma_next 6.7 4ac454682158
bpf_iter_task_vma_destroy 6.7 4ac454682158
bpf_iter_css_task_new 6.7 9c66dc94b62a
bpf_iter_css_task_next 6.7 9c66dc94b62a
bpf_iter_css_task_destroy 6.7 9c66dc94b62a
bpf_iter_css_new 6.7 7251d0905e75
bpf_iter_css_next 6.7 7251d0905e75
bpf_iter_css_destroy 6.7 7251d0905e75
bpf_iter_task_new 6.7 c68a78ffe2cb
bpf_iter_task_next 6.7 c68a78ffe2cb
bpf_iter_task_destroy 6.7 c68a78ffe2cb
bpf_dynptr_adjust 6.5 987d0242d189
bpf_dynptr_is_null 6.5 540ccf96ddbc
bpf_dynptr_is_rdonly 5.19 13bbbfbea759
bpf_dynptr_size 6.5 26662d7347a0
bpf_dynptr_clone 6.5 361f129f3cc1
bpf_map_sum_elem_count 6.6 803370d3d375
bpf_get_fsverity_digest 6.8 67814c00de31
bpf_xdp_metadata_rx_timestamp 6.3 3d76a4d3d4e5
bpf_xdp_metadata_rx_hash 6.3 3d76a4d3d4e5
bpf_xdp_metadata_rx_vlan_tag 6.8 e6795330f88b
bpf_dynptr_from_skb 6.4 b5964b968ac6
bpf_dynptr_from_xdp 6.4 05421aecd4ed
bpf_sock_addr_set_sun_path 6.7 53e380d21441
bpf_sock_destroy 6.5 4ddbcb886268
bbr_init 5.13 e78aea8b2170
bbr_main 5.13 e78aea8b2170
bbr_sndbuf_expand 5.13 e78aea8b2170
bbr_undo_cwnd 5.13 e78aea8b2170
bbr_cwnd_event 5.13 e78aea8b2170
bbr_ssthresh 5.13 e78aea8b2170
bbr_min_tso_segs 5.13 e78aea8b2170
bbr_set_state 5.13 e78aea8b2170
bpf_skb_set_fou_encap 6.4 c50e96099edb
bpf_skb_get_fou_encap 6.4 c50e96099edb
cubictcp_init 5.13 e78aea8b2170
cubictcp_recalc_ssthresh 5.13 e78aea8b2170
cubictcp_cong_avoid 5.13 e78aea8b2170
cubictcp_state 5.13 e78aea8b2170
cubictcp_cwnd_event 5.13 e78aea8b2170
cubictcp_acked 5.13 e78aea8b2170
dctcp_init 5.13 e78aea8b2170
dctcp_update_alpha 5.13 e78aea8b2170
dctcp_cwnd_event 5.13 e78aea8b2170
dctcp_ssthresh 5.13 e78aea8b2170
dctcp_cwnd_undo 5.13 e78aea8b2170
dctcp_state 5.13 e78aea8b2170
tcp_reno_ssthresh 5.13 e78aea8b2170
tcp_reno_cong_avoid 5.13 e78aea8b2170
tcp_reno_undo_cwnd 5.13 e78aea8b2170
tcp_slow_start 5.13 e78aea8b2170
tcp_cong_avoid_ai 5.13 e78aea8b2170
bpf_ct_set_nat_info 6.1 0fabd2aa199f
bpf_xdp_ct_alloc 6.0 d7e79c97c00c
bpf_xdp_ct_lookup 5.18 b4c2b9593a1c
bpf_skb_ct_alloc 6.0 d7e79c97c00c
bpf_skb_ct_lookup 5.18 b4c2b9593a1c
bpf_ct_insert_entry 6.0 d7e79c97c00c
bpf_ct_release 5.18 b4c2b9593a1c
bpf_ct_set_timeout 6.0 0b3892364431
bpf_ct_change_timeout 6.0 0b3892364431
bpf_ct_set_status 6.0 ef69aa3a986e
bpf_ct_change_status 6.0 ef69aa3a986e
bpf_skb_get_xfrm_info 6.2 94151f5aa966
bpf_skb_set_xfrm_info 6.2 94151f5aa966
bpf_xdp_get_xfrm_state 6.8 8f0ec8c68175
bpf_xdp_xfrm_state_release 6.8 8f0ec8c68175
hid_bpf_get_data 6.3 f5c27da4e3c8
hid_bpf_attach_prog 6.3 f5c27da4e3c8
hid_bpf_allocate_context 6.3 91a7f802d185
hid_bpf_release_context 6.3 91a7f802d185
hid_bpf_hw_request 6.3 91a7f802d185
bpf_wq_init 6.10 eb48f6cd41a0
bpf_wq_set_callback_impl 6.10 81f1d7a583fa
bpf_wq_start 6.10 8e83da9732d9
bpf_preempt_disable 6.10 fc7566ad0a82
bpf_preempt_enable 6.10 fc7566ad0a82
bpf_crypto_ctx_create 6.10 3e1c6f35409f
bpf_crypto_ctx_release 6.10 3e1c6f35409f
bpf_crypto_ctx_acquire 6.10 3e1c6f35409f
bpf_crypto_decrypt 6.10 3e1c6f35409f
bpf_crypto_encrypt 6.10 3e1c6f35409f
bpf_session_is_return 6.10 adf46d88ae4b
bpf_session_cookie 6.10 5c919acef851
bpf_arena_alloc_pages 6.9 317460317a02
bpf_arena_free_pages 6.9 317460317a02
bpf_iter_bits_destroy 6.11 4665415975b0
bpf_iter_bits_new 6.11 4665415975b0
bpf_iter_bits_next 6.11 4665415975b0
bpf_xdp_flow_lookup 6.11 391bb6594fd3
hid_bpf_hw_output_report 6.10 5599f8019661
hid_bpf_input_report 6.10 9be50ac30a83
hid_bpf_try_input_report 6.11 9acbb7ba4589
bpf_sk_assign_tcp_reqsk 6.11 e472f88891ab
bpf_task_from_vpid 6.13 675c3596ff32
bpf_send_signal_task 6.13 6280cf718db0
bpf_copy_from_user_str 6.12 65ab5ac4df01
bpf_get_kmem_cache 6.13 a992d7a39791
bpf_iter_kmem_cache_new 6.13 2e9a548009c2
bpf_iter_kmem_cache_next 6.13 2e9a548009c2
bpf_iter_kmem_cache_destroy 6.13 2e9a548009c2
bpf_local_irq_save 6.14 c8e2ee1f3df0
bpf_local_irq_restore 6.14 c8e2ee1f3df0
scx_bpf_select_cpu_dfl 6.12 f0e1a0643a59
scx_bpf_dsq_insert 6.13 cc26abb1a19a
scx_bpf_dsq_insert_vtime 6.13 cc26abb1a19a
scx_bpf_dispatch 6.12 f0e1a0643a59
scx_bpf_dispatch_vtime 6.12 06e51be3d5e7
scx_bpf_dispatch_nr_slots 6.12 f0e1a0643a59
scx_bpf_dispatch_cancel 6.12 f0e1a0643a59
scx_bpf_dsq_move_to_local 6.13 5209c03c8ed2
scx_bpf_consume 6.12 f0e1a0643a59
scx_bpf_dsq_move_set_slice 6.13 5cbb302880f5
scx_bpf_dsq_move_set_vtime 6.13 5cbb302880f5
scx_bpf_dispatch_from_dsq_set_slice 6.12 4c30f5ce4f7a
scx_bpf_dispatch_from_dsq_set_vtime 6.12 4c30f5ce4f7a
scx_bpf_dsq_move 6.13 5cbb302880f5
scx_bpf_dsq_move_vtime 6.13 5cbb302880f5
scx_bpf_dispatch_from_dsq 6.12 4c30f5ce4f7a
scx_bpf_dispatch_vtime_from_dsq 6.12 4c30f5ce4f7a
scx_bpf_reenqueue_local 6.12 245254f7081d
scx_bpf_dsq_move_set_slice 6.13 5cbb302880f5
scx_bpf_dsq_move_set_vtime 6.13 5cbb302880f5
scx_bpf_dispatch_from_dsq_set_slice 6.12 4c30f5ce4f7a
scx_bpf_dispatch_from_dsq_set_vtime 6.12 4c30f5ce4f7a
scx_bpf_create_dsq 6.12 f0e1a0643a59
scx_bpf_dsq_move 6.13 5cbb302880f5
scx_bpf_dsq_move_vtime 6.13 5cbb302880f5
scx_bpf_dispatch_from_dsq 6.12 4c30f5ce4f7a
scx_bpf_dispatch_vtime_from_dsq 6.12 4c30f5ce4f7a
scx_bpf_kick_cpu 6.12 f0e1a0643a59
scx_bpf_dsq_nr_queued 6.12 f0e1a0643a59
scx_bpf_destroy_dsq 6.12 f0e1a0643a59
bpf_iter_scx_dsq_new 6.12 650ba21b131e
bpf_iter_scx_dsq_next 6.12 650ba21b131e
bpf_iter_scx_dsq_destroy 6.12 650ba21b131e
scx_bpf_exit_bstr 6.12 f0e1a0643a59
scx_bpf_error_bstr 6.12 f0e1a0643a59
scx_bpf_dump_bstr 6.12 07814a9439a3
scx_bpf_cpuperf_cap 6.12 d86adb4fc065
scx_bpf_cpuperf_cur 6.12 d86adb4fc065
scx_bpf_cpuperf_set 6.12 d86adb4fc065
scx_bpf_nr_cpu_ids 6.12 f0e1a0643a59
scx_bpf_get_possible_cpumask 6.12 f0e1a0643a59
scx_bpf_get_online_cpumask 6.12 f0e1a0643a59
scx_bpf_put_cpumask 6.12 f0e1a0643a59
scx_bpf_get_idle_cpumask 6.12 f0e1a0643a59
scx_bpf_get_idle_smtmask 6.12 f0e1a0643a59
scx_bpf_put_idle_cpumask 6.12 f0e1a0643a59
scx_bpf_test_and_clear_cpu_idle 6.12 f0e1a0643a59
scx_bpf_pick_idle_cpu 6.12 f0e1a0643a59
scx_bpf_pick_any_cpu 6.12 f0e1a0643a59
scx_bpf_task_running 6.12 f0e1a0643a59
scx_bpf_task_cpu 6.12 f0e1a0643a59
scx_bpf_cpu_rq 6.12 6203ef73fa5c
scx_bpf_task_cgroup 6.12 819513666966
scx_bpf_now 6.14 3a9910b5904d
bpf_get_task_exe_file 6.12 d08e2045ebf0
bpf_put_file 6.12 d08e2045ebf0
bpf_path_d_path 6.12 d08e2045ebf0
bpf_get_dentry_xattr 6.12 ac13a4261afe
scx_bpf_events 6.15 17103b8504de
bpf_set_dentry_xattr 6.15 56467292794b
bpf_remove_dentry_xattr 6.15 56467292794b
scx_bpf_cpu_node 6.15 01059219b0cf
scx_bpf_get_idle_cpumask_node 6.15 01059219b0cf
scx_bpf_get_idle_smtmask_node 6.15 01059219b0cf
scx_bpf_pick_idle_cpu_node 6.15 01059219b0cf
scx_bpf_pick_any_cpu_node 6.15 01059219b0cf
bpf_copy_from_user_task_str 6.15 f0f8a5b58f78
bpf_sock_ops_enable_tx_tstamp 6.15 59422464266f
scx_bpf_nr_node_ids 6.15 0e9b4c10e833
bpf_dynptr_copy 6.15 daec295a7094
bpf_cpumask_populate 6.15 950ad93df2fc
bpf_res_spin_lock 6.15 97eb35f3ad42
bpf_res_spin_unlock 6.15 97eb35f3ad42
bpf_res_spin_lock_irqsave 6.15 97eb35f3ad42
bpf_res_spin_unlock_irqrestore 6.15 97eb35f3ad42
bpf_arena_reserve_pages 6.17 8fc3d2d8b501
bpf_stream_vprintk_impl 6.17 5ab154f1463a
bpf_dynptr_memset 6.17 5fc5d8fded57
bpf_cgroup_read_xattr 6.17 b95ee9049c93
bpf_strcmp 6.17 e91370550f1f
bpf_strnchr 6.17 e91370550f1f
bpf_strchr 6.17 e91370550f1f
bpf_strchrnul 6.17 e91370550f1f
bpf_strrchr 6.17 e91370550f1f
bpf_strlen 6.17 e91370550f1f
bpf_strlen 6.17 e91370550f1f
bpf_strspn 6.17 e91370550f1f
bpf_strcspn 6.17 e91370550f1f
bpf_strnstr 6.17 e91370550f1f
bpf_strstr 6.17 e91370550f1f
bpf_cgroup_read_xattr 6.17 b95ee9049c93
css_rstat_updated 6.16 a319185be9f5
css_rstat_flush 6.16 a319185be9f5
__bpf_trap 6.16 f95695f2c465
bpf_iter_dmabuf_new 6.16 6eab7ac7c5ee
bpf_iter_dmabuf_next 6.16 6eab7ac7c5ee
bpf_iter_dmabuf_destroy 6.16 6eab7ac7c5ee
bpf_probe_read_user_dynptr 6.16 a498ee7576de
bpf_probe_read_kernel_dynptr 6.16 a498ee7576de
bpf_probe_read_user_str_dynptr 6.16 a498ee7576de
bpf_probe_read_kernel_str_dynptr 6.16 a498ee7576de
bpf_copy_from_user_dynptr 6.16 a498ee7576de
bpf_copy_from_user_str_dynptr 6.16 a498ee7576de
bpf_copy_from_user_task_dynptr 6.16 a498ee7576de
bpf_copy_from_user_task_str_dynptr 6.16 a498ee7576de
bpf_list_front 6.16 fb5b480205ba
bpf_list_back 6.16 fb5b480205ba
bpf_rbtree_root 6.16 9e3e66c553f7
bpf_rbtree_left 6.16 9e3e66c553f7
bpf_rbtree_right 6.16 9e3e66c553f7
bpf_qdisc_bstats_update 6.16 544e0a1f1e56
bpf_qdisc_watchdog_schedule 6.16 7a2dafda950b
bpf_qdisc_init_prologue 6.16 7a2dafda950b
bpf_qdisc_reset_destroy_epilogue 6.16 7a2dafda950b
bpf_skb_get_hash 6.16 870c28588afa
bpf_kfree_skb 6.16 870c28588afa
bpf_qdisc_skb_drop 6.16 870c28588afa
scx_bpf_select_cpu_and 6.16 683d2d0faba1
bpf_dynptr_from_skb_meta 6.18 89d912e494f7
bpf_xdp_pull_data 6.18 4dce1a0d7cf3
scx_bpf_cpu_curr 6.18 20b158094a1a
scx_bpf_locked_rq 6.18 e0ca169638be
bpf_strcasecmp 6.18 19559e844184
bpf_task_work_schedule_resume_impl 6.18 38aa7003e369
bpf_task_work_schedule_signal_impl 6.18 38aa7003e369
scx_bpf_reenqueue_local___v2 6.19 a3f5d4822253
__scx_bpf_dsq_insert_vtime 6.19 c0d630ba347c
__scx_bpf_select_cpu_and 6.19 c0d630ba347c
bpf_dynptr_file_discard 6.19 8d8771dc03e4
bpf_dynptr_from_file 6.19 8d8771dc03e4
bpf_strcasestr 6.19 b5b693f73589
bpf_strncasestr 6.19 b5b693f73589
scx_bpf_dsq_insert___v2 6.19 2dbbdeda77a6
scx_bpf_dsq_peek 6.19 44f5c8ec5b9a
scx_bpf_task_set_slice 6.19 3035addfaf28
scx_bpf_task_set_dsq_vtime 6.19 3035addfaf28
bpf_stream_print_stack 7.0 63328bb23f26
bpf_stream_vprintk 7.0 d806f3101276
bpf_strncasecmp 7.0 1dc669646762
bpf_task_work_schedule_resume 7.0 6e663ffdf760
bpf_task_work_schedule_signal 7.0 6e663ffdf760
bpf_timer_cancel_async 7.0 a7e172aa4ca2
bpf_wq_set_callback 7.0 b97931a25a4b
bbr_cwnd_event_tx_start 7.1 d1e59a469737
cubictcp_cwnd_event_tx_start 7.1 d1e59a469737
dctcp_cwnd_event_tx_start 7.1 d1e59a469737
bpf_io_uring_submit_sqes 7.1 890819248a86
bpf_io_uring_get_region 7.1 890819248a86
bpf_obj_drop 7.1 d457072576a6
bpf_obj_new 7.1 d457072576a6
bpf_percpu_obj_new 7.1 d457072576a6
bpf_percpu_obj_drop 7.1 d457072576a6
bpf_refcount_acquire 7.1 d457072576a6
bpf_list_push_back 7.1 d457072576a6
bpf_list_push_front 7.1 d457072576a6
bpf_rbtree_add 7.1 d457072576a6
scx_bpf_dsq_reenq 7.1 9c34c5074d1b
scx_bpf_sub_dispatch 7.1 4f8b122848db
scx_bpf_dsq_move_to_local___v2 7.1 860683763ebf
"""

# kernel functions that a program type got later
KFUNC_TYPES: Final = """
CGROUP_DEVICE bpf_dynptr_from_skb 6.12 67666479edf1
CGROUP_DEVICE bpf_sock_addr_set_sun_path 6.12 67666479edf1
CGROUP_SOCK bpf_dynptr_from_skb 6.12 67666479edf1
CGROUP_SOCK bpf_sock_addr_set_sun_path 6.12 67666479edf1
CGROUP_SOCKOPT bpf_dynptr_from_skb 6.12 67666479edf1
CGROUP_SOCKOPT bpf_sock_addr_set_sun_path 6.12 67666479edf1
CGROUP_SOCK_ADDR bpf_dynptr_from_skb 6.7 53e380d21441
CGROUP_SYSCTL bpf_dynptr_from_skb 6.12 67666479edf1
CGROUP_SYSCTL bpf_sock_addr_set_sun_path 6.12 67666479edf1
LSM hid_bpf_allocate_context 6.11 ebc0d8093e8c
LSM hid_bpf_get_data 6.11 ebc0d8093e8c
LSM hid_bpf_hw_output_report 6.11 ebc0d8093e8c
LSM hid_bpf_hw_request 6.11 ebc0d8093e8c
LSM hid_bpf_input_report 6.11 ebc0d8093e8c
LSM hid_bpf_release_context 6.11 ebc0d8093e8c
PERF_EVENT BPF_PROG_TYPE_KPROBE 6.12 bc638d8cb5be
PERF_EVENT BPF_PROG_TYPE_PERF_EVENT 6.12 bc638d8cb5be
PERF_EVENT BPF_PROG_TYPE_RAW_TRACEPOINT 6.12 bc638d8cb5be
PERF_EVENT BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE 6.12 bc638d8cb5be
PERF_EVENT BPF_PROG_TYPE_TRACEPOINT 6.12 bc638d8cb5be
PERF_EVENT bpf_cgroup_acquire 6.12 bc638d8cb5be
PERF_EVENT bpf_cgroup_ancestor 6.12 bc638d8cb5be
PERF_EVENT bpf_cgroup_from_id 6.12 bc638d8cb5be
PERF_EVENT bpf_cgroup_release 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_acquire 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_and 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_any_and_distribute 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_any_distribute 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_clear 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_clear_cpu 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_copy 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_create 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_empty 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_equal 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_first 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_first_and 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_first_zero 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_full 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_intersects 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_or 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_release 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_set_cpu 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_setall 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_subset 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_test_and_clear_cpu 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_test_and_set_cpu 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_test_cpu 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_weight 6.12 bc638d8cb5be
PERF_EVENT bpf_cpumask_xor 6.12 bc638d8cb5be
PERF_EVENT bpf_dynptr_from_skb 6.12 bc638d8cb5be
PERF_EVENT bpf_get_file_xattr 6.12 bc638d8cb5be
PERF_EVENT bpf_get_fsverity_digest 6.12 bc638d8cb5be
PERF_EVENT bpf_key_put 6.12 bc638d8cb5be
PERF_EVENT bpf_list_pop_back 6.12 bc638d8cb5be
PERF_EVENT bpf_list_pop_front 6.12 bc638d8cb5be
PERF_EVENT bpf_list_push_back_impl 6.12 bc638d8cb5be
PERF_EVENT bpf_list_push_front_impl 6.12 bc638d8cb5be
PERF_EVENT bpf_lookup_system_key 6.12 bc638d8cb5be
PERF_EVENT bpf_lookup_user_key 6.12 bc638d8cb5be
PERF_EVENT bpf_obj_drop_impl 6.12 bc638d8cb5be
PERF_EVENT bpf_obj_new_impl 6.12 bc638d8cb5be
PERF_EVENT bpf_percpu_obj_drop_impl 6.12 bc638d8cb5be
PERF_EVENT bpf_percpu_obj_new_impl 6.12 bc638d8cb5be
PERF_EVENT bpf_rbtree_add_impl 6.12 bc638d8cb5be
PERF_EVENT bpf_rbtree_first 6.12 bc638d8cb5be
PERF_EVENT bpf_rbtree_remove 6.12 bc638d8cb5be
PERF_EVENT bpf_refcount_acquire_impl 6.12 bc638d8cb5be
PERF_EVENT bpf_sock_destroy 6.12 bc638d8cb5be
PERF_EVENT bpf_task_acquire 6.12 bc638d8cb5be
PERF_EVENT bpf_task_from_pid 6.12 bc638d8cb5be
PERF_EVENT bpf_task_get_cgroup1 6.12 bc638d8cb5be
PERF_EVENT bpf_task_release 6.12 bc638d8cb5be
PERF_EVENT bpf_task_under_cgroup 6.12 bc638d8cb5be
PERF_EVENT bpf_throw 6.12 bc638d8cb5be
PERF_EVENT bpf_verify_pkcs7_signature 6.12 bc638d8cb5be
PERF_EVENT cgroup_rstat_flush 6.12 bc638d8cb5be
PERF_EVENT cgroup_rstat_updated 6.12 bc638d8cb5be
PERF_EVENT crash_kexec 6.12 bc638d8cb5be
SOCK_OPS bpf_dynptr_from_skb 6.15 59422464266f
SOCK_OPS bpf_sock_addr_set_sun_path 6.15 59422464266f
STRUCT_OPS hid_bpf_allocate_context 6.11 ebc0d8093e8c
STRUCT_OPS hid_bpf_get_data 6.11 ebc0d8093e8c
STRUCT_OPS hid_bpf_hw_output_report 6.11 ebc0d8093e8c
STRUCT_OPS hid_bpf_hw_request 6.11 ebc0d8093e8c
STRUCT_OPS hid_bpf_input_report 6.11 ebc0d8093e8c
STRUCT_OPS hid_bpf_release_context 6.11 ebc0d8093e8c
SYSCALL hid_bpf_attach_prog 6.11 4a86220e046d
TRACEPOINT BPF_PROG_TYPE_KPROBE 6.12 bc638d8cb5be
TRACEPOINT BPF_PROG_TYPE_PERF_EVENT 6.12 bc638d8cb5be
TRACEPOINT BPF_PROG_TYPE_RAW_TRACEPOINT 6.12 bc638d8cb5be
TRACEPOINT BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE 6.12 bc638d8cb5be
TRACEPOINT BPF_PROG_TYPE_TRACEPOINT 6.12 bc638d8cb5be
TRACEPOINT bpf_cgroup_acquire 6.12 bc638d8cb5be
TRACEPOINT bpf_cgroup_ancestor 6.12 bc638d8cb5be
TRACEPOINT bpf_cgroup_from_id 6.12 bc638d8cb5be
TRACEPOINT bpf_cgroup_release 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_acquire 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_and 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_any_and_distribute 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_any_distribute 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_clear 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_clear_cpu 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_copy 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_create 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_empty 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_equal 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_first 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_first_and 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_first_zero 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_full 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_intersects 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_or 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_release 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_set_cpu 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_setall 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_subset 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_test_and_clear_cpu 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_test_and_set_cpu 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_test_cpu 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_weight 6.12 bc638d8cb5be
TRACEPOINT bpf_cpumask_xor 6.12 bc638d8cb5be
TRACEPOINT bpf_dynptr_from_skb 6.12 bc638d8cb5be
TRACEPOINT bpf_get_file_xattr 6.12 bc638d8cb5be
TRACEPOINT bpf_get_fsverity_digest 6.12 bc638d8cb5be
TRACEPOINT bpf_key_put 6.12 bc638d8cb5be
TRACEPOINT bpf_list_pop_back 6.12 bc638d8cb5be
TRACEPOINT bpf_list_pop_front 6.12 bc638d8cb5be
TRACEPOINT bpf_list_push_back_impl 6.12 bc638d8cb5be
TRACEPOINT bpf_list_push_front_impl 6.12 bc638d8cb5be
TRACEPOINT bpf_lookup_system_key 6.12 bc638d8cb5be
TRACEPOINT bpf_lookup_user_key 6.12 bc638d8cb5be
TRACEPOINT bpf_obj_drop_impl 6.12 bc638d8cb5be
TRACEPOINT bpf_obj_new_impl 6.12 bc638d8cb5be
TRACEPOINT bpf_percpu_obj_drop_impl 6.12 bc638d8cb5be
TRACEPOINT bpf_percpu_obj_new_impl 6.12 bc638d8cb5be
TRACEPOINT bpf_rbtree_add_impl 6.12 bc638d8cb5be
TRACEPOINT bpf_rbtree_first 6.12 bc638d8cb5be
TRACEPOINT bpf_rbtree_remove 6.12 bc638d8cb5be
TRACEPOINT bpf_refcount_acquire_impl 6.12 bc638d8cb5be
TRACEPOINT bpf_sock_destroy 6.12 bc638d8cb5be
TRACEPOINT bpf_task_acquire 6.12 bc638d8cb5be
TRACEPOINT bpf_task_from_pid 6.12 bc638d8cb5be
TRACEPOINT bpf_task_get_cgroup1 6.12 bc638d8cb5be
TRACEPOINT bpf_task_release 6.12 bc638d8cb5be
TRACEPOINT bpf_task_under_cgroup 6.12 bc638d8cb5be
TRACEPOINT bpf_throw 6.12 bc638d8cb5be
TRACEPOINT bpf_verify_pkcs7_signature 6.12 bc638d8cb5be
TRACEPOINT cgroup_rstat_flush 6.12 bc638d8cb5be
TRACEPOINT cgroup_rstat_updated 6.12 bc638d8cb5be
TRACEPOINT crash_kexec 6.12 bc638d8cb5be
TRACING hid_bpf_allocate_context 6.11 ebc0d8093e8c
TRACING hid_bpf_get_data 6.11 ebc0d8093e8c
TRACING hid_bpf_hw_output_report 6.11 ebc0d8093e8c
TRACING hid_bpf_hw_request 6.11 ebc0d8093e8c
TRACING hid_bpf_input_report 6.11 ebc0d8093e8c
TRACING hid_bpf_release_context 6.11 ebc0d8093e8c
"""
