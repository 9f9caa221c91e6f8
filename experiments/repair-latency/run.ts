import { main } from '../common/experiment';
import { measure } from './measure';

main('repair-latency', measure);
