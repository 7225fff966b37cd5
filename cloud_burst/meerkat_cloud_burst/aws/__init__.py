"""S3, SQS, Auto Scaling and CloudFormation behind the protocols of `ports`."""
