import { main } from '../common/experiment';
import { measure } from './measure';

main('filter-load', measure);
