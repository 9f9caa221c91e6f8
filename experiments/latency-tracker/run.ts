import { main } from '../common/experiment';
import { measure } from './measure';

main('latency-tracker', measure);
