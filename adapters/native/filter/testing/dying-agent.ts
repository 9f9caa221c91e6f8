/**
 * An agent that is killed at one point of a change: `dying-agent.js INTERFACE CONTENTS BLOBS POINT`.
 * CONTENTS and BLOBS are JSON; POINT is `before N` or `after N`: the Nth update of an outer map.
 */
import type { BpfMap } from '../../native';
import { FilterEngine } from '../engine';
import { FilterMaps } from '../filter-maps';
import type { FilterContents } from '../../../../core/filter/contents';

const [contents = '', blobs = '{}', when = '', nth = '0'] = process.argv.slice(2);
const stored = new Map(Object.entries(JSON.parse(blobs) as Record<string, string>));

function dieAt(): void {
  const real = FilterMaps.prototype.outerNamed;
  let calls = 0;
  FilterMaps.prototype.outerNamed = function (this: FilterMaps, name): BpfMap {
    const outer = real.call(this, name);
    const setInner: BpfMap['setInner'] = async (key, inner) => {
      const isIt = ++calls === Number(nth);
      if (isIt && when === 'before') process.kill(process.pid, 'SIGKILL');
      await outer.setInner(key, inner);
      if (isIt && when === 'after') process.kill(process.pid, 'SIGKILL');
    };
    return { setInner } as BpfMap;
  };
}

async function main(): Promise<void> {
  const engine = await FilterEngine.open({
    read: async (sha256) => Buffer.from(stored.get(sha256) ?? '', 'base64'),
  });
  dieAt();
  const outcomes = await engine.setFilters([JSON.parse(contents) as FilterContents]);
  engine.close();
  console.log(JSON.stringify(outcomes));
}

void main();
