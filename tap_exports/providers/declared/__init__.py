"""Any other export API, declared in a YAML file."""
