/** The report: one HTML file that needs nothing else, in light and dark. */
import { isMet, show } from '../../common/figures';
import { median, quantile, summarise } from '../../common/statistics';
import type { Verdict } from '../check';
import type { Cell, Evidence } from '../evidence';
import type { Kind } from '../filters/filter';
import { barPlot } from './bars';
import { linePlot, type Reference, type Series } from './lines';
import { element, escape, short } from './svg';
import { cellsOf, costsOf, floodedCells, floodsOf, tablesOf, type Table } from './tables';

const OURS = 'Aether';
const TITLE = 'The cost of a blocklist';
/** Light, dark: told apart by most eyes, and by shape where they are not. */
const PALETTE = [
  ['#0a58ca', '#6ea8fe'],
  ['#d9480f', '#ff922b'],
  ['#c2255c', '#faa2c1'],
  ['#5f3dc4', '#b197fc'],
  ['#087f5b', '#38d9a9'],
  ['#846200', '#ffd43b'],
  ['#495057', '#ced4da'],
  ['#0b7285', '#66d9e8'],
] as const;

const STYLE = `
:root { --ink: #1b1f24; --faint: #6a737d; --grid: #e3e6ea; --paper: #fff; --good: #087f5b; --bad: #c92a2a;
${PALETTE.map(([light], i) => `--c${i + 1}: ${light};`).join(' ')} }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --faint: #98a1ab; --grid: #30363d; --paper: #14171b; --good: #38d9a9; --bad: #ff8787;
${PALETTE.map(([, dark], i) => `--c${i + 1}: ${dark};`).join(' ')} }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
p.note, .facts { color: var(--faint); font-size: .9rem; }
table { border-collapse: collapse; font-size: .85rem; display: block; overflow-x: auto; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--grid); text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th.words, td.words { text-align: left; white-space: normal; }
tr.ours td { font-weight: 600; }
.yes { color: var(--good); } .no { color: var(--bad); font-weight: 600; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg text.title { fill: var(--faint); } svg text.strong { font-weight: 700; } svg text.value { font-size: 10px; fill: var(--faint); }
.grid { stroke: var(--grid); } .axis { stroke: var(--faint); } .reference { stroke: var(--faint); stroke-dasharray: 5 4; }
.line { fill: none; stroke-width: 2; } .line.c1 { stroke-width: 3.5; } .spread { stroke-width: 1; opacity: .6; }
${PALETTE.map((_, i) => `.fill.c${i + 1} { fill: var(--c${i + 1}); } .line.c${i + 1}, .spread.c${i + 1} { stroke: var(--c${i + 1}); }`).join('\n')}
`;

/** Filters that take lists of several lengths, ours first: it has the first colour. */
function filtersWithLists(evidence: Evidence): string[] {
  const all = cellsOf(evidence).filter(({ entries }) => entries > 0);
  const others = [...new Set(all.map(({ filter }) => filter))].filter((name) => name !== OURS);
  return [OURS, ...others];
}

function seriesOf(evidence: Evidence, kind: Kind): Series[] {
  const cells = cellsOf(evidence);
  return filtersWithLists(evidence).flatMap((name, i) => {
    const points = cells
      .filter(({ filter }) => filter === name)
      .flatMap((cell) => {
        const samples = costsOf(evidence, cell, kind);
        if (samples.length === 0) return [];
        const { min, median: y, max } = summarise(samples);
        return [{ x: cell.entries, y, least: min, most: max }];
      });
    return points.length === 0 ? [] : [{ name, colour: (i % PALETTE.length) + 1, points }];
  });
}

function referencesOf(evidence: Evidence, kind: Kind): Reference[] {
  return cellsOf(evidence)
    .filter(({ entries }) => entries === 0)
    .flatMap((cell) => {
      const samples = costsOf(evidence, cell, kind);
      return samples.length === 0 ? [] : [{ name: cell.filter, y: median(samples) }];
    });
}

const COST_TITLES = {
  drop: ['What a dropped packet costs', 'Every source of the flood is in the list.'],
  pass: ['What a passing packet costs', 'No source is in the list: the price that everyone pays.'],
} as const;

function costSection(evidence: Evidence, kind: Kind): string {
  const series = seriesOf(evidence, kind);
  if (series.length === 0) return '';
  const [title, note] = COST_TITLES[kind];
  const plot = linePlot({
    title,
    xTitle: 'entries in the list',
    yTitle: 'CPU for each packet, ns',
    series,
    references: referencesOf(evidence, kind),
  });
  return `<h2>${title}</h2><p class="note">${note} Both axes are logarithmic; lower is better.</p>${plot}`;
}

const COLOUR_OF_FLOOD = [5, 6, 2];
const floodName = (kpps: number): string =>
  kpps === 0 ? 'no flood' : kpps < 1000 ? `${kpps} kpps` : `${kpps / 1000} Mpps`;
const cellName = ({ filter, entries }: Cell): string =>
  entries === 0 ? filter : `${filter}, ${short(entries)}`;

function floodSection(evidence: Evidence): string {
  const rows = floodedCells(evidence).map((cell) => ({
    name: cellName(cell),
    strong: cell.filter === OURS,
    bars: evidence.plan.floodKpps.flatMap((kpps, i) => {
      const rtts = floodsOf(evidence, cell, kpps).flatMap(({ rttUs }) => rttUs);
      if (rtts.length === 0) return [];
      const [p50, p99] = [0.5, 0.99].map((q) => quantile(rtts, q) / 1000);
      return [
        {
          group: floodName(kpps),
          colour: COLOUR_OF_FLOOD[i % 3] ?? 1,
          p50: p50 ?? 0,
          p99: p99 ?? 0,
        },
      ];
    }),
  }));
  if (rows.every(({ bars }) => bars.length === 0)) return '';
  const title = 'What honest traffic feels';
  const plot = barPlot({
    title,
    xTitle:
      'round trip of a UDP echo, ms (logarithmic): from p50 to p99, which is written beside it',
    rows,
    limit: { name: 'bar: 1 ms', value: 1 },
  });
  return `<h2>${title}</h2><p class="note">Its packets wait in the queue that is flooded; only echoes that came back are in here, so see the losses below.</p>${plot}`;
}

const cellsRow = (tag: 'th' | 'td', cells: readonly string[], head: readonly string[]): string =>
  cells
    .map((cell, i) => {
      const words = ['filter', 'list', 'why', 'claim'].includes(head[i] ?? '');
      return element(tag, words ? { class: 'words' } : {}, escape(cell));
    })
    .join('');

function tableSection({ title, note, head, rows }: Table): string {
  const body = rows.map(
    (row) => `<tr${row[0] === OURS ? ' class="ours"' : ''}>${cellsRow('td', row, head)}</tr>`,
  );
  return `<h2>${escape(title)}</h2><p class="note">${escape(note)}</p><table><tr>${cellsRow('th', head, head)}</tr>${body.join('')}</table>`;
}

function claimSection({ figures, problems }: Verdict): string {
  const head = ['claim', 'bar', 'measured', 'met'];
  const rows = figures.map((figure) => {
    const { bar, measured, met } = show(figure);
    return `<tr>${cellsRow('td', [figure.claim, bar, measured], head)}<td class="${met}">${met}</td></tr>`;
  });
  const missed = figures.filter((figure) => !isMet(figure)).length;
  const wrong = problems.map((problem) => `<li class="no">${escape(problem)}</li>`);
  return (
    `<h2>Claims</h2><p class="note">${figures.length - missed} of ${figures.length} are met.</p>` +
    (wrong.length > 0 ? `<ul>${wrong.join('')}</ul>` : '') +
    `<table><tr>${cellsRow('th', head, head)}</tr>${rows.join('')}</table>`
  );
}

function facts({ environment, began, ended, load, plan }: Evidence): string {
  const { machine, driver, versions, settings } = environment;
  const all = {
    Machine: `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}`,
    Driver: `${driver}; one core floods, the other one receives`,
    Versions: Object.entries(versions)
      .map((one) => one.join(': '))
      .join('; '),
    Settings: Object.entries(settings)
      .map((one) => one.join(': '))
      .join('; '),
    Run: `${plan.name}, ${began} to ${ended}`,
    Load: `${load.before} before; up to ${Math.max(0, ...load.during)} meanwhile, the audit’s own share (2) with it`,
  };
  const rows = Object.entries(all).map(([name, text]) => `<b>${name}</b> ${escape(text)}`);
  return `<p class="facts">${rows.join('<br>')}</p>`;
}

export function toHtml(evidence: Evidence, verdict: Verdict): string {
  const sections = [
    claimSection(verdict),
    costSection(evidence, 'drop'),
    costSection(evidence, 'pass'),
    floodSection(evidence),
    ...tablesOf(evidence).map(tableSection),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${TITLE}</title><style>${STYLE}</style></head>
<body><h1>${TITLE}</h1>
<p>Aether’s XDP filter beside what people use today, on one machine, in turns. A veth pair is no network card: there is no DMA and no ring of descriptors, so read the ratios, not the absolute figures.</p>
${facts(evidence)}
${sections.join('\n')}
</body></html>
`;
}
