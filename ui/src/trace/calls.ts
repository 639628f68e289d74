// Who called whom in one trace. In: the columns. Out: a link for every pair of services, with calls, errors and time; what a call to a
// side that reported nothing named (a database, a queue) counts as a service too.
import type { Link } from '../map/layout';
import { FLAG_ERROR, NO_REMOTE, type Trace } from './columns';

export interface Call extends Link {
  /** Microseconds of all calls together. */
  duration_us: number;
  /** The slowest call. */
  slowest: number;
}

export function callsOf(trace: Trace): Call[] {
  const { services } = trace;
  const byKey = new Map<number, Call>();
  const add = (parent: number, child: number, row: number) => {
    if (parent === child || services[parent] === '' || services[child] === '') return;
    const key = parent * services.length + child;
    let call = byKey.get(key);
    if (!call) byKey.set(key, (call = { parent: services[parent]!, child: services[child]!, callCount: 0, errorCount: 0, duration_us: 0, slowest: row }));
    call.callCount++;
    call.errorCount += trace.flags[row]! & FLAG_ERROR;
    call.duration_us += trace.duration[row]!;
    if (trace.duration[row]! > trace.duration[call.slowest]!) call.slowest = row;
  };
  for (let row = 0; row < trace.spanCount; row++) {
    const parent = trace.parent[row]!;
    if (parent >= 0) add(trace.service[parent]!, trace.service[row]!, row);
    if (trace.subtree[row] === 1 && trace.remote[row] !== NO_REMOTE && trace.kind[row] !== 3) add(trace.service[row]!, trace.remote[row]!, row);
  }
  return [...byKey.values()];
}
