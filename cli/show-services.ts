/** Services, for people. */
import { stringify } from 'yaml';
import { anycastUserForm } from '../core/model/schema-anycast';
import { selectorText } from '../core/model/selector';
import type { AnycastServiceDescription, AnycastServiceView } from '../core/model/views';
import { table } from './output';
import type { Output } from './output';
import { heading, indented } from './show';

export function servicesTable(views: readonly AnycastServiceView[]): string {
  if (views.length === 0) return 'No services. Declare some: aether apply -f examples/services';
  return table(
    ['SERVICE', 'PREFIXES', 'NAMESPACE', 'NODES', 'FLOOR'],
    views.map((view) => [
      view.name,
      view.prefixes.join(', '),
      view.namespace,
      `${view.bound}: ${selectorText(view.nodes)}`,
      String(view.minAnnouncers),
    ]),
  );
}

export function describeService(found: AnycastServiceDescription, out: Output): string {
  return [
    servicesTable([found.view]),
    heading(out, 'Resource'),
    indented(stringify(anycastUserForm(found.resource))),
  ].join('\n');
}
