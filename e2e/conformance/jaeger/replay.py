#!/usr/bin/env python3
"""Replays the golden scenarios (*.json beside this file) against a server and compares.

  replay.py --query http://127.0.0.1:16686 --collector http://127.0.0.1:14268 \
            --otlp http://127.0.0.1:4318 --zipkin http://127.0.0.1:9411 \
            --sampling http://127.0.0.1:5778 \
            [--grpc 127.0.0.1:14250] [--otlp-grpc 127.0.0.1:4317] [--query-grpc 127.0.0.1:16685]
            [--udp-compact 127.0.0.1:6831] [--udp-binary 127.0.0.1:6832] [--sampling-grpc 127.0.0.1:14250]
            [--skip base,base] [--max-wait-ms 5000] [--quiet] [files]

Scenario: {name, about, needs, steps:[{name, via:"http"|"grpc"|"udp", base, method, path, headers,
  body | body_b64 + patches, gzip, eventually_ms, expect:{status, headers, json|text|text_regex|b64,
  unordered, superset, ignore, canon}}]}
Placeholders (text): {{run}} 8 hex digits, new each run, first digit 1..3; {{now_us-60000000}},
  {{now_ns+5}}, {{now_ms}}, {{now_s}} ("now" is cut to whole seconds, fixed for one scenario);
  {{rfc3339(now_us-60000000)}}; {{gotime(now_ns-5)}} as Go prints a UTC time; {{b64hex(...)}} base64 of hex; a JSON string that is just {{#expr}} stands for a number;
  {{any}} as an expected JSON value matches anything.
patches (binary bodies): at = byte offset, enc = hex | str | i64be | u64le | zz (zigzag varint) | varint.
canon "jaeger_traces": traces sorted by id, spans by id, processID replaced by the process itself
  (order of spans, and so the numbering p1, p2.., is not part of the contract); the tags internal.span.format (v1.62)
  and @jaeger@format (v1.76), which Jaeger adds to every span not sent by OTLP, are dropped on both sides.
Only the Python standard library is used. Exit status 1 if any step fails."""
import argparse, base64, datetime, glob, gzip, http.client, json, os, random, re, socket, struct, sys, time, urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
EXPR = re.compile(r'\{\{(#?)([^{}]+)\}\}')

class Ctx:
    def __init__(self, bases, run=None, now_s=None):
        self.bases = bases
        self.run = run or random.choice('123') + ''.join(random.choice('0123456789abcdef') for _ in range(7))
        self.now_s = now_s or int(time.time())

    def value(self, e):
        e = e.strip()
        if e == 'run': return self.run
        m = re.fullmatch(r'rfc3339\((.*)\)', e)
        if m:
            us = self.value(m.group(1))
            t = datetime.datetime.fromtimestamp(us // 1000000, datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%S')
            return t + ('.%06d' % (us % 1000000)).rstrip('0').rstrip('.') + 'Z'
        m = re.fullmatch(r'gotime\((.*)\)', e)
        if m:
            ns = self.value(m.group(1))
            t = datetime.datetime.fromtimestamp(ns // 10**9, datetime.timezone.utc).strftime('%Y-%m-%d %H:%M:%S')
            return t + ('.%09d' % (ns % 10**9)).rstrip('0').rstrip('.') + ' +0000 UTC'
        m = re.fullmatch(r'b64hex\(([0-9a-f]*?)run([0-9a-f]*)\)', e)
        if m: return base64.b64encode(bytes.fromhex(m.group(1) + self.run + m.group(2))).decode()
        m = re.fullmatch(r'now_(us|ns|ms|s)([+-]\d+)?', e)
        if m:
            mul = {'s': 1, 'ms': 1000, 'us': 10**6, 'ns': 10**9}[m.group(1)]
            return self.now_s * mul + int(m.group(2) or 0)
        raise ValueError('unknown placeholder ' + e)

    def text(self, s):
        return EXPR.sub(lambda m: m.group(0) if m.group(2) in ('any',) else str(self.value(m.group(2))), s)

    def tree(self, v):
        if isinstance(v, str):
            m = EXPR.fullmatch(v)
            if m and m.group(1): return self.value(m.group(2))
            return self.text(v)
        if isinstance(v, list): return [self.tree(x) for x in v]
        if isinstance(v, dict): return {self.text(k): self.tree(x) for k, x in v.items()}
        return v

def varint(n):
    out = bytearray()
    while n > 127: out.append(n & 127 | 128); n >>= 7
    out.append(n); return bytes(out)

def patch(ctx, raw, patches):
    raw = bytearray(raw)
    for p in patches:
        v = ctx.tree(p['val']); enc = p['enc']
        if enc == 'hex': b = bytes.fromhex(v)
        elif enc == 'str': b = v.encode()
        elif enc == 'i64be': b = struct.pack('>q', int(v))
        elif enc == 'u64le': b = struct.pack('<Q', int(v))
        elif enc == 'varint': b = varint(int(v))
        elif enc == 'zz':
            n = int(v, 16) if isinstance(v, str) else int(v)
            if n >= 1 << 63: n -= 1 << 64
            b = varint((n << 1) ^ (n >> 63) if n >= 0 else ((-n) << 1) - 1)
        else: raise ValueError(enc)
        if p.get('len') not in (None, len(b)): raise ValueError('patch changes the length: %r' % p)
        raw[p['at']:p['at'] + len(b)] = b
    return bytes(raw)

def make_body(ctx, st):
    if 'body_b64' in st: b = patch(ctx, base64.b64decode(st['body_b64']), st.get('patches', []))
    elif st.get('body') is None: return None
    elif isinstance(st['body'], str): b = ctx.text(st['body']).encode()
    else: b = json.dumps(ctx.tree(st['body']), separators=(',', ':')).encode()
    return gzip.compress(b) if st.get('gzip') else b

def do_http(ctx, st):
    u = urllib.parse.urlsplit(ctx.bases[st.get('base', 'query')])
    c = http.client.HTTPConnection(u.hostname, u.port, timeout=20)
    body = make_body(ctx, st)
    h = {k: ctx.text(v) for k, v in (st.get('headers') or {}).items()}
    if st.get('gzip'): h['Content-Encoding'] = 'gzip'
    c.request(st.get('method', 'GET'), u.path + ctx.text(st['path']), body=body, headers=h)
    r = c.getresponse(); data = r.read(); c.close()
    return {'status': r.status, 'headers': {k.lower(): v for k, v in r.getheaders()}, 'body': data}

def do_udp(ctx, st):
    host, port = ctx.bases[st['base']].rsplit(':', 1)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(make_body(ctx, st), (host, int(port))); s.close()
    return {'status': 0, 'headers': {}, 'body': b''}

HUFFMAN = {'00000': '0', '00001': '1', '00010': '2', **{format(25 + d, '06b'): str(3 + d) for d in range(7)}}
def huffman_digits(data):
    bits = ''.join(format(b, '08b') for b in data); out = ''
    while bits:
        for n in (5, 6):
            if bits[:n] in HUFFMAN: out += HUFFMAN[bits[:n]]; bits = bits[n:]; break
        else: break  # what is left is padding
    return out

GRPC_STATUS = bytes.fromhex('889acac8b21234da8f')
def do_grpc(ctx, st):
    host, port = ctx.bases[st['base']].rsplit(':', 1)
    s = socket.create_connection((host, int(port)), timeout=10)
    def frame(t, fl, sid, pl): return struct.pack('>I', len(pl))[1:] + bytes([t, fl]) + struct.pack('>I', sid) + pl
    def lit(k, v): return b'\0' + bytes([len(k)]) + k.encode() + bytes([len(v)]) + v.encode()
    msg = make_body(ctx, st) or b''
    hd = b''.join(lit(k, v) for k, v in [(':method', 'POST'), (':scheme', 'http'), (':path', st['path']), (':authority', 'localhost'),
        ('content-type', 'application/grpc'), ('te', 'trailers')] + list((st.get('headers') or {}).items()))
    s.sendall(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + frame(4, 0, 0, b'') + frame(1, 4, 1, hd) + frame(0, 1, 1, b'\0' + struct.pack('>I', len(msg)) + msg))
    buf = b''; data = b''; heads = b''; end = False
    while not end:
        d = s.recv(65536)
        if not d: break
        buf += d
        while len(buf) >= 9:
            n = int.from_bytes(buf[:3], 'big')
            if len(buf) < 9 + n: break
            t, fl, sid, pl = buf[3], buf[4], int.from_bytes(buf[5:9], 'big') & 0x7fffffff, buf[9:9 + n]; buf = buf[9 + n:]
            if t == 4 and not fl & 1: s.sendall(frame(4, 1, 0, b''))
            if t == 6 and not fl & 1: s.sendall(frame(6, 1, 0, pl))
            if sid == 1:
                if t == 0: data += pl
                if t == 1: heads += pl
                if t == 3: end = True
                if t in (0, 1) and fl & 1: end = True
            if t == 7: end = True
    s.close()
    i = heads.find(GRPC_STATUS); code = -1
    if i >= 0:
        n = heads[i + 9] & 0x7f; value = heads[i + 10:i + 10 + n]
        code = int(huffman_digits(value) if heads[i + 9] & 0x80 else value)
    msgs = []
    while len(data) >= 5:
        n = int.from_bytes(data[1:5], 'big'); msgs.append(data[5:5 + n]); data = data[5 + n:]
    return {'status': code, 'headers': {}, 'body': b''.join(msgs)}

def do(ctx, st): return {'http': do_http, 'udp': do_udp, 'grpc': do_grpc}[st.get('via', 'http')](ctx, st)

def canon(kind, v):
    if kind == 'jaeger_traces' and isinstance(v, dict) and isinstance(v.get('data'), list):
        v = json.loads(json.dumps(v))
        for t in v['data']:
            ps = t.get('processes') or {}
            for s in t.get('spans') or []:
                pid = s.pop('processID', None)
                s['~process'] = ps.get(pid, {'~missing': pid})
                s['tags'] = [t for t in s.get('tags') or [] if t.get('key') not in ('internal.span.format', '@jaeger@format')]
            t['processes'] = sorted((json.dumps(p, sort_keys=True) for p in ps.values()))
            t['spans'] = sorted(t.get('spans') or [], key=lambda s: (s.get('spanID', ''), json.dumps(s, sort_keys=True)))
        v['data'].sort(key=lambda t: t.get('traceID', ''))
    return v

def at(path, pats): return any(re.fullmatch(re.escape(p).replace(r'\[\]', r'\[\d*\]'), path) for p in pats)

def diff(exp, act, ex, path=''):
    if exp == '{{any}}' or at(path, ex.get('ignore', [])): return None
    if isinstance(exp, dict):
        if not isinstance(act, dict): return '%s: expected an object, got %.200r' % (path, act)
        for k in exp:
            p = (path + '.' + k).lstrip('.')
            if k not in act:
                if at(p, ex.get('ignore', [])): continue
                return '%s: missing (expected %.200r)' % (p, exp[k])
            d = diff(exp[k], act[k], ex, p)
            if d: return d
        extra = [k for k in act if k not in exp and not at((path + '.' + k).lstrip('.'), ex.get('ignore', []))]
        return '%s: unexpected keys %s' % (path, extra) if extra else None
    if isinstance(exp, list):
        if not isinstance(act, list): return '%s: expected a list, got %.200r' % (path, act)
        sup = at(path, ex.get('superset', []))
        if sup or at(path, ex.get('unordered', [])):
            rest = list(act)
            for e in exp:
                for i, a in enumerate(rest):
                    if diff(e, a, ex, path + '[]') is None: del rest[i]; break
                else: return '%s: no element like %.300s among %.600s' % (path, json.dumps(e), json.dumps(act))
            return '%s: unexpected elements %.300s' % (path, json.dumps(rest)) if rest and not sup else None
        if len(exp) != len(act): return '%s: expected %d elements, got %d: %.400s' % (path, len(exp), len(act), json.dumps(act))
        for i, (e, a) in enumerate(zip(exp, act)):
            d = diff(e, a, ex, '%s[%d]' % (path, i))
            if d: return d
        return None
    if isinstance(exp, bool) != isinstance(act, bool) or exp != act: return '%s: expected %.300r, got %.300r' % (path, exp, act)
    return None

def check(ctx, ex, res):
    if 'status' in ex and ex['status'] != res['status']: return 'status: expected %s, got %s (%.300r)' % (ex['status'], res['status'], res['body'])
    for k, v in (ex.get('headers') or {}).items():
        got = res['headers'].get(k.lower())
        if got != v: return 'header %s: expected %r, got %r' % (k, v, got)
    if 'json' in ex:
        try: act = json.loads(res['body'])
        except Exception as e: return 'body is not JSON (%s): %.200r' % (e, res['body'])
        return diff(canon(ex.get('canon'), ctx.tree(ex['json'])), canon(ex.get('canon'), act), ex)
    if 'text' in ex:
        want = ctx.text(ex['text'])
        if res['body'].decode('utf-8', 'replace') != want: return 'body: expected %.500r, got %.500r' % (want, res['body'].decode('utf-8', 'replace'))
    if 'text_regex' in ex and not re.search(ctx.text(ex['text_regex']), res['body'].decode('utf-8', 'replace'), re.S): return 'body does not match %r: %.500r' % (ex['text_regex'], res['body'])
    if 'b64' in ex and base64.b64encode(res['body']).decode() != ex['b64']: return 'bytes: expected %s, got %s' % (ex['b64'], base64.b64encode(res['body']).decode())
    return None

def run_step(ctx, st):
    end = time.time() + st.get('eventually_ms', 0) / 1000; pause = 0.004
    while True:
        try:
            res = do(ctx, st); err = check(ctx, st.get('expect') or {}, res)
        except Exception as e: err = '%s: %s' % (type(e).__name__, e)
        if err is None or time.time() >= end: return err
        time.sleep(pause); pause = min(pause * 1.6, 0.2)

def main():
    a = argparse.ArgumentParser()
    d = dict(query='http://127.0.0.1:16686', collector='http://127.0.0.1:14268', otlp='http://127.0.0.1:4318', zipkin='http://127.0.0.1:9411',
             sampling='http://127.0.0.1:5778', grpc='127.0.0.1:14250', otlp_grpc='127.0.0.1:4317', query_grpc='127.0.0.1:16685',
             sampling_grpc='127.0.0.1:14250', udp_compact='127.0.0.1:6831', udp_binary='127.0.0.1:6832')
    for k, v in d.items(): a.add_argument('--' + k.replace('_', '-'), default=v)
    a.add_argument('--max-wait-ms', type=int, default=5000); a.add_argument('--skip', default=''); a.add_argument('--quiet', action='store_true'); a.add_argument('files', nargs='*')
    o = a.parse_args(); bases = {k: getattr(o, k) for k in d}; skip = set(filter(None, o.skip.replace('-', '_').split(',')))
    ok = bad = skipped = 0
    for f in o.files or sorted(glob.glob(os.path.join(HERE, '*.json'))):
        sc = json.load(open(f)); ctx = Ctx(bases)
        if any(s.get('base', 'query') in skip for s in sc['steps']):
            skipped += len(sc['steps']); print('SKIP %s (%d steps)' % (sc['name'], len(sc['steps']))); continue
        for i, st in enumerate(sc['steps']):
            if st.get('eventually_ms'): st['eventually_ms'] = min(st['eventually_ms'], o.max_wait_ms)
            err = run_step(ctx, st)
            if err is None: ok += 1
            else: bad += 1
            if err or not o.quiet: print('%s %s #%d %s%s' % ('FAIL' if err else 'PASS', sc['name'], i + 1, st.get('name') or st.get('path'), '\n     ' + err if err else ''))
    print('%d passed, %d failed, %d skipped' % (ok, bad, skipped))
    sys.exit(1 if bad else 0)

if __name__ == '__main__': main()
