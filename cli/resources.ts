/** Reads resources from files and directories and checks them completely, offline. */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { validateCluster } from '../core/model/cluster';
import { pathText } from '../core/model/issues';
import type { Issue } from '../core/model/issues';
import type { AnycastServiceResource } from '../core/model/anycast';
import type { NodeResource } from '../core/model/node';
import { type AnyResource, validateResource } from '../core/model/resources';
import { CliError, EXIT } from './exit-codes';
import { parseYaml } from './yaml';
import type { Position, YamlDocument } from './yaml';

/** A resource, and where it was written. */
export interface Loaded {
  resource: AnyResource;
  file: string;
  document: YamlDocument;
}

export interface FileIssue extends Position {
  file: string;
  /** The field, as `spec.namespaces[0].links[0].mtu`; empty where the file is no YAML. */
  path: string;
  code: string;
  message: string;
  expected: string;
}

export interface Load {
  loaded: Loaded[];
  issues: FileIssue[];
  files: string[];
}

const IS_RESOURCE_FILE = /\.(ya?ml|json)$/;

function filesOf(path: string): string[] {
  if (path === '-') return [path];
  let isDirectory: boolean;
  try {
    isDirectory = statSync(path).isDirectory();
  } catch {
    throw new CliError(EXIT.notFound, `${path}: no such file or directory`);
  }
  if (!isDirectory) return [path];
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => IS_RESOURCE_FILE.test(name))
    .sort()
    .map((name) => join(path, name));
  if (files.length > 0) return files;
  throw new CliError(EXIT.notFound, `${path}: holds no .yaml, .yml or .json file`);
}

/** An issue with the place at which its field was written. */
export const fileIssue = (file: string, document: YamlDocument, issue: Issue): FileIssue => ({
  file,
  ...document.positionOf(issue.path, issue.code === 'unknownField'),
  path: pathText(issue.path),
  code: issue.code,
  message: issue.message,
  expected: issue.expected,
});

function loadFile(file: string): Load {
  const shown = file === '-' ? 'stdin' : file;
  const parsed = parseYaml(readFileSync(file === '-' ? 0 : file, 'utf8'));
  if (!parsed.ok) {
    const issues = parsed.errors.map((error) => ({
      file: shown,
      ...error,
      path: '',
      code: 'syntax',
      expected: 'YAML 1.2, or JSON',
    }));
    return { loaded: [], issues, files: [shown] };
  }
  const load: Load = { loaded: [], issues: [], files: [shown] };
  for (const document of parsed.documents) {
    const validated = validateResource(document.value);
    if (validated.ok) load.loaded.push({ resource: validated.resource, file: shown, document });
    else load.issues.push(...validated.issues.map((issue) => fileIssue(shown, document, issue)));
  }
  return load;
}

/** Everything that is wrong, in the order of files and lines; nothing is thrown for a bad resource. */
export function loadResources(paths: readonly string[]): Load {
  const loads = paths.flatMap(filesOf).map(loadFile);
  const loaded = loads.flatMap((load) => load.loaded);
  const across = validateCluster(loaded.map(({ resource }) => resource)).flatMap((issue) => {
    const source = loaded[issue.index];
    return source === undefined ? [] : [fileIssue(source.file, source.document, issue)];
  });
  return {
    loaded,
    issues: [...loads.flatMap((load) => load.issues), ...across].sort(byPlace),
    files: loads.flatMap((load) => load.files),
  };
}

const byPlace = (a: FileIssue, b: FileIssue): number =>
  a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column;

/** `file:line:column path: what is wrong; expected what would be right`. */
export const issueText = (issue: FileIssue): string =>
  `${issue.file}:${issue.line}:${issue.column} ${issue.path === '' ? '' : `${issue.path}: `}` +
  `${issue.message}; expected ${issue.expected}`;

/** As `loadResources`, for verbs that need some, and valid ones. */
export function checkedResources(paths: readonly string[]): Omit<Load, 'issues'> {
  const { loaded, issues, files } = loadResources(paths);
  if (issues.length > 0) throw invalid(issues);
  if (loaded.length === 0) {
    throw new CliError(EXIT.invalid, `${files.join(', ')}: no resource in it`);
  }
  return { loaded, files };
}

export const needResources = (paths: readonly string[]): Loaded[] => checkedResources(paths).loaded;

/** The nodes among them. */
export const nodesOf = (loaded: readonly Loaded[]): NodeResource[] =>
  loaded.flatMap(({ resource }) => (resource.kind === 'Node' ? [resource] : []));

/** The services among them. */
export const servicesOf = (loaded: readonly Loaded[]): AnycastServiceResource[] =>
  loaded.flatMap(({ resource }) => (resource.kind === 'AnycastService' ? [resource] : []));

export const invalid = (issues: readonly FileIssue[]): CliError =>
  new CliError(EXIT.invalid, [...issues.map(issueText), `Nothing was written.`].join('\n'), null, {
    issues,
  });
