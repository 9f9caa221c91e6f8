import { testEachOnce } from './testing';

testEachOnce(2, 3);
