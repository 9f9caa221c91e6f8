/** One way of waiting for the tests of all rooms. */
export { until } from '../../adapters/testing/until';
