import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prefixTexts } from './algebra';
import { parseFeed, unreadableLines, type FeedLimits, type FeedReport } from './feed';

const LIMITS: FeedLimits = { format: 'auto', column: 1, maxBytes: 1 << 20, maxPrefixes: 100_000 };

const bytesOf = (text: string): Uint8Array => Buffer.from(text);

function read(text: string | Uint8Array, limits: Partial<FeedLimits> = {}) {
  const bytes = typeof text === 'string' ? bytesOf(text) : text;
  const result = parseFeed(bytes, { ...LIMITS, ...limits });
  assert.ok(result.ok, JSON.stringify(result));
  return { prefixes: prefixTexts(result.set), report: result.report };
}

function refusal(text: string | Uint8Array, limits: Partial<FeedLimits> = {}) {
  const bytes = typeof text === 'string' ? bytesOf(text) : text;
  const result = parseFeed(bytes, { ...LIMITS, ...limits });
  assert.ok(!result.ok);
  return result.refusal;
}

const blank: Omit<FeedReport, 'format' | 'lines' | 'prefixes'> = {
  column: null,
  ignored: {},
  examples: [],
  masked: 0,
  mapped: 0,
  duplicates: 0,
  covered: 0,
  truncated: false,
};

/** As the publishers write them, shortened. */
const SAMPLES: Record<
  string,
  { text: string; limits?: Partial<FeedLimits>; prefixes: string[]; report: Partial<FeedReport> }
> = {
  'Spamhaus DROP, text': {
    text: `; Spamhaus DROP List 2024/03/11 - (c) 2024 The Spamhaus Project
; https://www.spamhaus.org/drop/drop.txt
; Last-Modified: Mon, 11 Mar 2024 05:22:03 GMT
1.10.16.0/20 ; SBL256894
1.19.0.0/16 ; SBL434604
2.56.192.0/22 ; SBL459831
`,
    prefixes: ['1.10.16.0/20', '1.19.0.0/16', '2.56.192.0/22'],
    report: { format: 'plain', lines: 6, ignored: { comment: 3 } },
  },
  'Spamhaus DROP, JSON lines of both families': {
    text: `{"cidr":"1.10.16.0/20","sblid":"SBL256894","rir":"apnic"}
{"cidr": "2a06:e480::/29", "sblid":"SBL301771","rir":"ripencc"}
{"type":"metadata","timestamp":1711111111,"size":81234,"records":2,"copyright":"(c) 2024"}
`,
    prefixes: ['1.10.16.0/20', '2a06:e480::/29'],
    report: { format: 'json', lines: 3, ignored: { metadata: 1 } },
  },
  'FireHOL netset': {
    text: `#
# firehol_level1
#
# ipv4 hash:net ipset
#
0.0.0.0/8
1.10.16.0/20
1.19.0.0/16
5.134.128.0/19
27.126.160.5
`,
    prefixes: ['0.0.0.0/8', '1.10.16.0/20', '1.19.0.0/16', '5.134.128.0/19', '27.126.160.5/32'],
    report: { format: 'plain', lines: 10, ignored: { comment: 5 } },
  },
  'Team Cymru full bogons, IPv6': {
    text: `# last updated 1710144601 (Mon Mar 11 08:10:01 2024 GMT)
::/8
100::/8
2001:db8::/32
`,
    prefixes: ['::/8', '100::/8', '2001:db8::/32'],
    report: { format: 'plain', lines: 4, ignored: { comment: 1 } },
  },
  'abuse.ch Feodo Tracker, CSV': {
    text: `################################################################\r
# abuse.ch Feodo Tracker Botnet C2 IP Blocklist (CSV)          #\r
################################################################\r
#\r
"first_seen_utc","dst_ip","dst_port","c2_status","last_online","malware"\r
"2021-01-17 07:30:05","67.213.75.205","443","online","2024-03-11","Dridex"\r
"2022-06-04 21:24:53","51.178.161.32","4643","offline","2024-02-09","Dridex"\r
# END 2 entries\r
`,
    prefixes: ['51.178.161.32/32', '67.213.75.205/32'],
    report: { format: 'csv', column: 2, lines: 8, ignored: { comment: 5, header: 1 } },
  },
  'abuse.ch Feodo Tracker, plain': {
    text: `# abuse.ch Feodo Tracker Botnet C2 IP Blocklist (recommended)\r
#\r
# DstIP\r
51.178.161.32\r
67.213.75.205\r
# END 2 entries\r
`,
    prefixes: ['51.178.161.32/32', '67.213.75.205/32'],
    report: { format: 'plain', lines: 6, ignored: { comment: 4 } },
  },
  'DShield block.txt': {
    text: `# DShield.org Recommended Block List
# updated: Mon Mar 11 2024 08:05:01 GMT
Start\tEnd\tNetblock\tAttacks\tName\tCountry\temail
80.94.95.0\t80.94.95.255\t24\t2613\tUNMANAGED LTD\tRO\tabuse@example.net
162.216.150.0\t162.216.151.255\t23\t2521\tGOOGLE\tUS\tabuse@example.com
`,
    prefixes: ['80.94.95.0/24', '162.216.150.0/23'],
    report: { format: 'dshield', lines: 5, ignored: { comment: 2, header: 1 } },
  },
  'a CSV whose column is told': {
    text: `id;network;why
1;198.51.100.0/24;"scans; floods"
2;"203.0.113.0/24";"say ""hello"""
3
`,
    limits: { format: 'csv', column: 2 },
    prefixes: ['198.51.100.0/24', '203.0.113.0/24'],
    report: {
      format: 'csv',
      column: 2,
      lines: 4,
      ignored: { header: 1, noColumn: 1 },
      examples: [{ line: 4, reason: 'noColumn', text: '3' }],
    },
  },
  'a CSV without a header, its quoted field holding the separator': {
    text: `"Smith, John",198.51.100.7\n"Doe, Jane", 198.51.100.9 \n`,
    limits: { format: 'csv', column: 2 },
    prefixes: ['198.51.100.7/32', '198.51.100.9/32'],
    report: { format: 'csv', column: 2, lines: 2 },
  },
  'an address and a count between tabs': {
    text: '198.51.100.7\t9\n198.51.100.9\t2\n',
    prefixes: ['198.51.100.7/32', '198.51.100.9/32'],
    report: { format: 'csv', column: 1, lines: 2 },
  },
  'ranges of both families': {
    text: `192.0.2.1-192.0.2.6
198.51.100.0 - 198.51.101.255 # two
2001:db8::fffe-2001:db8::1:1
0.0.0.0-255.255.255.255
`,
    limits: { format: 'plain' },
    prefixes: ['0.0.0.0/0', '2001:db8::fffe/127', '2001:db8::1:0/127'],
    report: { format: 'plain', lines: 4, covered: 5 },
  },
};

for (const [name, { text, limits, prefixes, report }] of Object.entries(SAMPLES))
  test(`read as it is meant: ${name}`, () => {
    const result = read(text, limits);
    assert.deepEqual(result.prefixes, prefixes);
    assert.deepEqual(result.report, { ...blank, prefixes: prefixes.length, ...report });
  });

test('a range becomes the fewest prefixes', () => {
  const table: [string, string[]][] = [
    ['192.0.2.5-192.0.2.5', ['192.0.2.5/32']],
    ['192.0.2.1-192.0.2.6', ['192.0.2.1/32', '192.0.2.2/31', '192.0.2.4/31', '192.0.2.6/32']],
    ['0.0.0.0-127.255.255.255', ['0.0.0.0/1']],
    ['::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', ['::/0']],
    ['255.255.255.254-255.255.255.255', ['255.255.255.254/31']],
    ['::ffff:192.0.2.0-::ffff:192.0.2.255', ['192.0.2.0/24']],
  ];
  for (const [range, prefixes] of table) assert.deepEqual(read(range).prefixes, prefixes);
});

test('comments, blanks, a BOM and line ends of Windows are no part of a prefix', () => {
  const text = [
    '\u{feff}192.0.2.1',
    '  192.0.2.3  ',
    '\t192.0.2.5\t# why',
    '192.0.2.7#why',
    '192.0.2.9;why',
    '192.0.2.11 // why',
    '192.0.2.13//why',
    '// 192.0.2.15',
    '# été 192.0.2.15',
    '   ',
    '',
  ].join('\r\n');
  const { prefixes, report } = read(text);
  assert.deepEqual(
    prefixes,
    [1, 3, 5, 7, 9, 11, 13].map((host) => `192.0.2.${host}/32`),
  );
  assert.deepEqual(report.ignored, { comment: 2, blank: 1 });
  assert.equal(report.lines, 10);
  assert.equal(report.truncated, false);
});

test('host bits, duplicates, covered and mapped prefixes are put right and counted', () => {
  const { prefixes, report } = read(`192.0.2.99/24
192.0.2.0/24
192.0.2.0/24
192.0.2.7
2001:db8::1/32
::ffff:198.51.100.7
::ffff:203.0.113.9/120
::ffff:0:0/96
::ffff:0:0/95
`);
  assert.deepEqual(prefixes, ['0.0.0.0/0', '::fffe:0:0/95', '2001:db8::/32']);
  assert.deepEqual(prefixes.length, report.prefixes);
  const { masked, mapped, duplicates, covered } = report;
  assert.deepEqual(
    { masked, mapped, duplicates, covered },
    { masked: 4, mapped: 3, duplicates: 2, covered: 4 },
  );
});

test('what should have been a prefix is counted by what is wrong with it, the first are shown', () => {
  const { prefixes, report } = read(`192.0.2.1
192.0.2
192.0.2.256
192.0.02.1
192.0.2.1/33
192.0.2.1/
2001:db8::/129
192.0.2.1-192.0.2.0
192.0.2.1-2001:db8::1
192.0.2.1 example.org
bad\u{e9}
`);
  assert.deepEqual(prefixes, ['192.0.2.1/32']);
  assert.deepEqual(report.ignored, { noPrefix: 4, badLength: 3, badRange: 2, trailingText: 1 });
  assert.deepEqual(report.examples, [
    { line: 2, reason: 'noPrefix', text: '192.0.2' },
    { line: 3, reason: 'noPrefix', text: '192.0.2.256' },
    { line: 4, reason: 'noPrefix', text: '192.0.02.1' },
    { line: 5, reason: 'badLength', text: '192.0.2.1/33' },
    { line: 6, reason: 'badLength', text: '192.0.2.1/' },
  ]);
  assert.equal(unreadableLines(report), 10);
  assert.equal(report.truncated, false);
  const long = read(`192.0.2.1\n\u{fc}${'x'.repeat(500)}\n`).report.examples[0]!.text;
  assert.equal(long, `??${'x'.repeat(58)}`);
});

test('a feed that ends in the middle of a line says so; one that lacks the last line end does not', () => {
  assert.equal(read('192.0.2.1\n192.0.2.3').report.truncated, false);
  assert.equal(read('192.0.2.1\n192.0.2.3/').report.truncated, true);
  assert.equal(read('192.0.2.1\n192.0.').report.truncated, true);
  assert.equal(read('192.0.2.1\n192.0.\n').report.truncated, false);
  assert.equal(read('192.0.2.1\nwhat\n# the end').report.truncated, false);
  assert.equal(read('{"cidr":"192.0.2.0/24"}\n{"cidr":"198.51.1').report.truncated, true);
});

test('an empty feed is an empty set', () => {
  for (const text of ['', '\n\n', '# nothing\n', '\u{feff}'])
    assert.deepEqual(read(text).prefixes, []);
});

test('what is no text is refused, and where', () => {
  const gzip = Buffer.from('1f8b080000000000000333d433d033d233e40200a5f3c8e20b000000', 'hex');
  assert.deepEqual(refusal(gzip), { kind: 'binary', line: 1, offset: 0, byte: 0x1f });
  const utf16 = Buffer.from('192.0.2.1\n', 'utf16le');
  assert.deepEqual(refusal(utf16), { kind: 'binary', line: 1, offset: 1, byte: 0 });
  const late = refusal('192.0.2.1\n192.0.2.3\n\u{1}\u{2}\n');
  assert.deepEqual(late, { kind: 'binary', line: 3, offset: 20, byte: 1 });
});

test('too much is refused with both numbers', () => {
  assert.deepEqual(refusal('192.0.2.1\n', { maxBytes: 9 }), {
    kind: 'tooManyBytes',
    bytes: 10,
    maxBytes: 9,
  });
  const two = '192.0.2.1\n192.0.2.3\n192.0.2.3\n';
  assert.deepEqual(refusal(two, { maxPrefixes: 1 }), {
    kind: 'tooManyPrefixes',
    prefixes: 2,
    maxPrefixes: 1,
  });
  assert.equal(read(two, { maxPrefixes: 2 }).prefixes.length, 2);
});

/** Each host a line, from 0 on. */
const hosts = (count: number, of: (i: number) => string): Buffer => {
  const lines: string[] = [];
  for (let i = 0; i < count; i++) lines.push(of(i));
  return Buffer.from(`${lines.join('\n')}\n`);
};
const dotted = (i: number): string =>
  `${i >>> 24}.${(i >>> 16) & 255}.${(i >>> 8) & 255}.${i & 255}`;

test('hundreds of thousands of lines are read, or refused before they fill the memory', () => {
  const many = hosts(300_000, (i) => dotted((Math.imul(i, 0x9e3779b1) >>> 0) | 1));
  const wide = { maxBytes: many.length, maxPrefixes: 1_000_000 };
  const { prefixes, report } = read(many, wide);
  assert.ok(prefixes.length > 100_000);
  assert.equal(report.prefixes + report.duplicates, 300_000);
  const refused = refusal(many, { ...wide, maxPrefixes: 10_000 });
  assert.ok(refused.kind === 'tooManyPrefixes' && refused.prefixes <= 20_000);
});

test('what repeats itself does not count against the limit', () => {
  const repeated = hosts(50_000, (i) => dotted(0xc0000200 + (i % 100)));
  const { report } = read(repeated, { maxBytes: repeated.length, maxPrefixes: 100 });
  const { prefixes, duplicates, covered } = report;
  assert.deepEqual([prefixes, duplicates, covered], [100, 49_900, 0]);
  const ranges = hosts(2000, () => '2001:db8::1-2001:db8:ffff:ffff:ffff:ffff:ffff:fffe');
  assert.equal(read(ranges, { maxPrefixes: 200 }).report.prefixes, 190);
});
