import { main } from '../common/experiment';
import { measure } from './measure';

main('temporal-takeover', measure);
