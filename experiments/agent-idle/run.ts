import { main } from '../common/experiment';
import { measure } from './measure';

main('agent-idle', measure);
