package rules
import rego.v1

# One condition, over a list of pools and over columns.
list_1 contains i if { some i, p in input.pools; p.cl_waiting > 3; p.utilization > 0.9 }
columns_1 contains i if { some i, w in input.cl_waiting; w > 3; input.utilization[i] > 0.9 }

# Ten conditions over a list of pools.
list_10 contains ["queue", i] if { some i, p in input.pools; p.cl_waiting > 3; p.utilization > 0.9 }
list_10 contains ["oldest", i] if { some i, p in input.pools; p.maxwait_us > 2000000 }
list_10 contains ["waits", i] if { some i, p in input.pools; p.waiting_for_ms > 30000; p.cl_waiting > 0 }
list_10 contains ["unserved", i] if { some i, p in input.pools; p.unserved_for_ms > 10000 }
list_10 contains ["full", i] if { some i, p in input.pools; p.full_for_ms > 120000 }
list_10 contains ["slo", i] if { some i, p in input.pools; p.wait_p95_us > 250000 }
list_10 contains ["demand", i] if { some i, p in input.pools; p.demand > p.size * 1.5 }
list_10 contains ["held", i] if { some i, p in input.pools; p.busy_mean - p.busy_finished > 4 }
list_10 contains ["idle", i] if { some i, p in input.pools; p.idle_in_transaction > 3 }
list_10 contains ["idle", i] if { some i, p in input.pools; p.idle_in_transaction_max_ms > 300000 }
list_10 contains ["slow", i] if { some i, p in input.pools; p.transaction_mean_us > 1000000; p.transactions_per_s > 1 }

# The same over columns.
columns_10 contains ["queue", i] if { some i, v in input.cl_waiting; v > 3; input.utilization[i] > 0.9 }
columns_10 contains ["oldest", i] if { some i, v in input.maxwait_us; v > 2000000 }
columns_10 contains ["waits", i] if { some i, v in input.waiting_for_ms; v > 30000; input.cl_waiting[i] > 0 }
columns_10 contains ["unserved", i] if { some i, v in input.unserved_for_ms; v > 10000 }
columns_10 contains ["full", i] if { some i, v in input.full_for_ms; v > 120000 }
columns_10 contains ["slo", i] if { some i, v in input.wait_p95_us; v > 250000 }
columns_10 contains ["demand", i] if { some i, v in input.demand; v > input.size[i] * 1.5 }
columns_10 contains ["held", i] if { some i, v in input.busy_mean; v - input.busy_finished[i] > 4 }
columns_10 contains ["idle", i] if { some i, v in input.idle_in_transaction; v > 3 }
columns_10 contains ["idle", i] if { some i, v in input.idle_in_transaction_max_ms; v > 300000 }
columns_10 contains ["slow", i] if { some i, v in input.transaction_mean_us; v > 1000000; input.transactions_per_s[i] > 1 }
